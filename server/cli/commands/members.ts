/** The commands about members and their children: ps, members, drain. */
import type { ChildInfo } from "../../../openapi/schemas/resources.ts";
import type { DistributedPool } from "../../../sdk/typescript/node.ts";
import { argumentsOf, type Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";
import { write } from "./print-events.ts";

export async function ps(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const { status, label } = parsed.values;
  const rows: string[][] = [];
  for (const pool of await poolNames(parsed, pools)) {
    const { children, unreachable } = await pools.children(pool, {
      labels: labelsOf(label),
      ...(status && { status }),
    });
    for (const child of children)
      rows.push([
        child.id,
        pool,
        child.status,
        child.kind,
        child.startedAt,
        child.endedAt ?? "",
        endingOf(child),
        Object.entries(child.labels)
          .map(([name, value]) => `${name}=${value}`)
          .join(","),
      ]);
    if (unreachable.length > 0)
      await write(process.stderr, `dpool: no answer from ${unreachable.join(", ")}\n`);
  }
  return printTable(["ID", "POOL", "STATUS", "KIND", "STARTED", "ENDED", "HOW", "LABELS"], rows);
}

export async function members(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const rows: string[][] = [];
  for (const pool of await poolNames(parsed, pools))
    for (const { member, url, load, sandbox, version } of (await pools.pool(pool)).members) {
      const active = load ? `${load.active}/${load.max}` : "no answer";
      rows.push([member, pool, active, url, sandbox, version]);
    }
  return printTable(["MEMBER", "POOL", "ACTIVE", "URL", "SANDBOX", "VERSION"], rows);
}

/** One member leaves its pools, finishes its children and ends. */
export async function drain(pools: DistributedPool, parsed: Parsed): Promise<number> {
  argumentsOf(parsed);
  const { member, pools: loads } = await pools.drain();
  const running = Object.values(loads).reduce((sum, { active }) => sum + active, 0);
  await write(process.stdout, `${member} drains; ${running} children run\n`);
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
      return [name, value];
    }),
  );
}

function endingOf({ code, exitCode, endedAt }: ChildInfo): string {
  return code ?? (exitCode !== null ? `exit ${exitCode}` : endedAt ? "returned" : "");
}

async function printTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): Promise<number> {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  await write(process.stdout, `${lines.join("\n")}\n`);
  return 0;
}
