/** `dpool call` and `dpool place`: run a command, a function or a task in a pool. */
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { isWorkspacePath } from "../../../openapi/schemas/values.ts";
import { requireWhole } from "../../../sdk/typescript/http/read-events.ts";
import { type Child, type DistributedPool, PoolError } from "../../../sdk/typescript/node.ts";
import type { Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";
import { Foreground } from "./foreground.ts";
import { printEvents, write } from "./print-events.ts";
import { specOf } from "./spec.ts";

export async function call(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const pool = poolOf(parsed);
  const spec = await specOf(parsed);
  const { out } = parsed.values;
  if (out !== undefined && !spec.artifacts?.length)
    throw new UsageError("--out: expected --artifact PATTERN beside it");
  const foreground = new Foreground(pools, spec.link ?? false);
  const events = foreground.follow(requireWhole(pools.stream(pool, spec)));
  const exitCode = await printEvents(events, async (event, id) => {
    if (out !== undefined && (event.type === "result" || event.type === "failed"))
      for (const { path } of event.artifacts ?? []) await save(pools.child(id), path, out);
  });
  return foreground.exitCode ?? exitCode;
}

/** The pool that the command line names. A command without `--` before it is a likely mistake. */
function poolOf({ positionals, command }: Parsed): string {
  const [pool, ...others] = positionals;
  if (pool === undefined) throw new UsageError("expected one pool; got none");
  if (others.length === 0) return pool;
  const words = others.join(" ");
  throw new UsageError(
    `expected one pool, and -- before a command: dpool ${command} ${pool} -- ${words}; ` +
      `got ${pool} ${words}`,
  );
}

/** Saves an artifact into a folder. The child chose the path, which could lead out of it. */
async function save(child: Child, path: string, folder: string): Promise<void> {
  if (!isWorkspacePath(path))
    throw PoolError.of(
      "invalid_request",
      `expected an artifact's path to stay in the folder; got ${JSON.stringify(path)}`,
    );
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await pipeline(await child.file(path), createWriteStream(file));
}

export async function place(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const pool = poolOf(parsed);
  const child = await pools.placeChild(pool, await specOf(parsed));
  await write(process.stdout, `${child.id}\n`);
  return 0;
}
