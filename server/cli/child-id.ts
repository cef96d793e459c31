/** The child that a command line names, by its id or by the beginning of it. */
import { ID } from "../../openapi/names.ts";
import { type Child, type DistributedPool, PoolError } from "../../sdk/typescript/node.ts";
import { argumentsOf, type Parsed } from "./parse.ts";
import { UsageError } from "./usage-error.ts";

/** 5 ids are shown of those that a beginning may stand for. */
const MAX_SHOWN = 5;

/** The child that the only argument names. @throws {UsageError} */
export async function childOf(pools: DistributedPool, parsed: Parsed): Promise<Child> {
  const [id] = argumentsOf(parsed, "one child id");
  return childNamed(pools, id);
}

/**
 * The child of an id, or of the beginning of an id or of its digits. Only a beginning costs
 * requests: it is looked for among the children of all pools.
 *
 * @throws {UsageError} for a beginning of several ids. @throws {PoolError} `child_not_found`.
 */
export async function childNamed(pools: DistributedPool, name: string): Promise<Child> {
  if (ID.test(name)) return pools.child(name);
  if (!/^[\w.-]+$/.test(name))
    throw new UsageError(`expected a child id, or its beginning; got ${JSON.stringify(name)}`);
  const ids = idsNamed(name, await allIds(pools));
  const [id, ...others] = ids;
  if (id === undefined)
    throw PoolError.of("child_not_found", `no child has an id that begins with ${name}`);
  if (others.length === 0) return pools.child(id);
  const more = ids.length > MAX_SHOWN ? `, and ${ids.length - MAX_SHOWN} more` : "";
  throw new UsageError(
    `expected the beginning of one id; got ${name}, which is that of ` +
      `${ids.slice(0, MAX_SHOWN).join(", ")}${more}`,
  );
}

/** The ids that begin with a text, or whose digits do. Pure. */
export function idsNamed(text: string, ids: readonly string[]): string[] {
  return ids.filter(
    (id) => id.startsWith(text) || id.slice(id.lastIndexOf(".") + 1).startsWith(text),
  );
}

async function allIds(pools: DistributedPool): Promise<string[]> {
  const names = (await pools.pools()).pools.map(({ pool }) => pool);
  const lists = await Promise.all(names.map((pool) => pools.children(pool)));
  return [...new Set(lists.flatMap(({ children }) => children.map(({ id }) => id)))];
}
