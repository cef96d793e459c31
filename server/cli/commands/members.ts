/** The commands about members and their children: ps, members, drain. */
import type { ChildInfo } from "../../../openapi/schemas/state/children.ts";
import type { DistributedPool } from "../../../sdk/typescript/node.ts";
import type { PoolChildList, PoolInfo } from "../../../sdk/typescript/placement/access.ts";
import { ageText, progressText, workText } from "../output/child-row.ts";
import { stateText, statusText } from "../output/state-text.ts";
import { printTable } from "../output/table.ts";
import { write, writeJson } from "../output/write.ts";
import { argumentsOf, isJson, type Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";

export async function ps(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const { status, label } = parsed.values;
  const filter = { labels: labelsOf(label), ...(status && { status }) };
  const children: ChildInfo[] = [];
  const unreachable = new Set<string>();
  const draining: NonNullable<PoolChildList["draining"]> = [];
  for (const pool of await poolNames(parsed, pools)) {
    const found = await pools.children(pool, filter);
    children.push(...found.children);
    for (const member of found.unreachable) unreachable.add(member);
    draining.push(...(found.draining ?? []));
  }
  if (isJson(parsed)) {
    await writeJson({ children, unreachable: [...unreachable], draining });
    return 0;
  }
  if (unreachable.size > 0)
    await write(process.stderr, `dpool: no answer from ${[...unreachable].join(", ")}\n`);
  const rows = children.map((child) => [
    child.id,
    child.pool,
    statusText(child, draining),
    workText(child),
    ageText(child),
    progressText(child),
    child.owner,
    endingOf(child),
    Object.entries(child.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
  ]);
  const facts = ["WHAT", "AGE", "PROGRESS", "CALLER", "HOW", "LABELS"];
  return printTable(["ID", "POOL", "STATUS", ...facts], rows);
}

export async function members(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const found: PoolInfo[] = [];
  for (const pool of await poolNames(parsed, pools)) found.push(await pools.pool(pool));
  if (isJson(parsed)) {
    await writeJson({ pools: found });
    return 0;
  }
  const reasons = new Set<string>();
  const rows = found.flatMap(({ pool, members }) =>
    members.map((each) => {
      const { member, url, load, sandbox, version, state, detail } = each;
      if (detail) reasons.add(`dpool: ${member} is ${state}: ${detail}\n`);
      const active = load ? `${load.active}/${load.max}` : "no answer";
      return [member, pool, stateText(each), active, url, sandbox, version];
    }),
  );
  for (const reason of reasons) await write(process.stderr, reason);
  return printTable(["MEMBER", "POOL", "STATE", "ACTIVE", "URL", "SANDBOX", "VERSION"], rows);
}

/** One member leaves its pools, finishes its children and ends. */
export async function drain(pools: DistributedPool, parsed: Parsed): Promise<number> {
  argumentsOf(parsed);
  const drained = await pools.drain();
  if (isJson(parsed)) {
    await writeJson(drained);
    return 0;
  }
  const { member, pools: loads } = drained;
  const running = Object.values(loads).reduce((sum, { active }) => sum + active, 0);
  await write(
    process.stdout,
    `${member} drains; ${running === 1 ? "1 child runs" : `${running} children run`}\n`,
  );
  return 0;
}

/** The pool of the command line, or all pools. */
async function poolNames(
  { positionals }: Parsed,
  pools: DistributedPool,
): Promise<readonly string[]> {
  if (positionals.length > 1)
    throw new UsageError(`expected at most one pool; got ${positionals.join(" ")}`);
  return positionals.length === 1
    ? positionals
    : (await pools.pools()).pools.map(({ pool }) => pool);
}

/** Labels to look for: `NAME=VALUE`, or `NAME` for any value. */
function labelsOf(values: readonly string[] = []): Record<string, string | true> {
  return Object.fromEntries(
    values.map((label) => {
      const [name = "", value = true] = label.split(/=(.*)/s);
      if (name === "")
        throw new UsageError(`--label: expected NAME=VALUE or NAME; got ${JSON.stringify(label)}`);
      return [name, value];
    }),
  );
}

function endingOf({ code, exitCode, endedAt }: ChildInfo): string {
  return code ?? (exitCode !== null ? `exit ${exitCode}` : endedAt ? "returned" : "");
}
