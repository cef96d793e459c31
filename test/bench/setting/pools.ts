/** The pools of the measured member, by the way in which a call finds its process. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cleanEnvironment } from "../../helpers/processes.ts";

export const CLI = fileURLToPath(new URL("../../../dist/cli.js", import.meta.url));

/** 64 callers at most. */
export const MAX_CALLERS = 64;
/** One-use processes that wait. */
export const WARM = 8;

type Pools = Readonly<Record<string, object>>;

/** Whether a member takes the pools. A member of an older version knows no `warm` for commands. */
function takes(folder: string, pools: Pools): boolean {
  const file = join(folder, "tried.yaml");
  writeFileSync(file, JSON.stringify({ pools }));
  try {
    execFileSync(process.execPath, [CLI, "check-config", file], {
      stdio: "ignore",
      env: cleanEnvironment(),
    });
    return true;
  } catch {
    return false;
  }
}

export type PoolName = "reused" | "warm" | "cold" | "prepared";

/**
 * Writes the configuration of the member. In the pool `cold`, nothing is made beforehand; the pool
 * `prepared` has the defaults of a member.
 *
 * @param warm how many one-use processes wait.
 * @returns the path of the file; JSON is YAML.
 */
export function writePools(folder: string, names: readonly PoolName[], warm: number): string {
  const maxChildren = MAX_CALLERS;
  const isKnown = takes(folder, { tried: { maxChildren: 1, warm: { command: 0 } } });
  const all: Readonly<Record<PoolName, object>> = {
    reused: { maxChildren, reuse: true },
    warm: { maxChildren, warm: { node: warm } },
    cold: { maxChildren, ...(isKnown && { warm: { command: 0, node: 0 } }) },
    prepared: { maxChildren },
  };
  const pools = Object.fromEntries(names.map((name) => [name, all[name]]));
  const file = join(folder, "pools.yaml");
  writeFileSync(file, JSON.stringify({ pools }));
  return file;
}
