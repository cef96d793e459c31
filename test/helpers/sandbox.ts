/** The strongest sandbox of this machine, for tests that launch programs in it. */
import { spawnSync } from "node:child_process";
import { rmdirSync } from "node:fs";
import { onTestFinished } from "vitest";
import type { SandboxLevel } from "../../openapi/limits.ts";
import { type PoolOptions, PoolOptionsSchema } from "../../server/member/pool-options.ts";
import { confinementOf } from "../../server/member/pool-rules.ts";
import { Bubblewrap } from "../../server/sandbox/bubblewrap.ts";
import { Cgroups } from "../../server/sandbox/cgroups.ts";
import type { Confinement } from "../../server/sandbox/confinement.ts";
import { NoSandbox } from "../../server/sandbox/none.ts";
import { preparedCall, prepareSandbox } from "../../server/sandbox/prepared.ts";
import type { Sandbox } from "../../server/sandbox/sandbox.ts";

function strongest(): SandboxLevel {
  if (spawnSync("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"]).status !== 0)
    return "none";
  try {
    const groups = new Cgroups(`distributed-pool-try-${process.pid}`);
    groups.make();
    for (const folder of groups.folders) rmdirSync(folder);
    return "full";
  } catch {
    return "no-cgroup";
  }
}

/** The strongest level of sandbox on this machine. */
export const LEVEL = strongest();
/** Whether bubblewrap works on this machine. */
export const HAS_BUBBLEWRAP = LEVEL !== "none";
/** The option of a member that gives it {@link LEVEL}. */
export const SANDBOX_OPTION =
  LEVEL === "full" ? "auto" : LEVEL === "no-cgroup" ? "no-cgroup" : "off";

/** A pool's confinement with these options. */
export function confinement(options: Partial<PoolOptions> = {}): Confinement {
  return confinementOf(PoolOptionsSchema.parse({ maxChildren: 5, ...options }));
}

/** The ways of starting a command. */
export const WAYS = ["in a new sandbox", "in one made beforehand"] as const;

/** A sandbox that starts each program that can in a sandbox made beforehand, by {@link WAYS}. */
export function starting<S extends Sandbox>(way: (typeof WAYS)[number], sandbox: S): S {
  if (way === "in a new sandbox") return sandbox;
  const launch = sandbox.launch.bind(sandbox);
  sandbox.launch = async (program, confinement) => {
    const pool = { sandbox, confinement };
    const call = program.waits ? undefined : preparedCall(program, confinement, pool);
    return call ? (await prepareSandbox(pool)).run(call) : launch(program, confinement);
  };
  return sandbox;
}

/** Closes a sandbox with the test. */
export function open<S extends Sandbox>(sandbox: S): S {
  onTestFinished(() => sandbox.close());
  return sandbox;
}

/** The strongest sandbox, closed with the test. */
export function openBubblewrap(): Bubblewrap {
  return open(new Bubblewrap(LEVEL === "full" ? "full" : "no-cgroup"));
}

/** The sandbox that {@link SANDBOX_OPTION} gives a member, closed with the test. */
export function openSandbox(): Sandbox {
  return HAS_BUBBLEWRAP ? openBubblewrap() : open(new NoSandbox(process.env.PATH ?? ""));
}
