/** A member, a gateway and Consul, each a process of its own: what most benchmarks measure. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startConsul } from "../../helpers/consul.ts";
import { type MemberProcess, startServe } from "../../helpers/processes.ts";
import { eventually, within } from "../../helpers/wait.ts";
import type { Context } from "../benchmark.ts";
import { untilQuiet } from "../measure/quiet.ts";
import { type PoolName, WARM, writePools } from "./pools.ts";

const VISIBLE_MS = 15_000;
const EXIT_MS = 30_000;

/** A load generator is one client: its calls and streams would meet the limits of one. */
export const NO_LIMITS = ["--max-streams", "100000", "--max-rate", "1000000", "--drain-ms", "0"];

/** The options of Node that write a profile of a process at its end. */
export const profilingArgs = ({ profiling }: Context, name: string): string[] =>
  profiling === undefined
    ? []
    : ["--cpu-prof", `--cpu-prof-dir=${profiling.folder}`, `--cpu-prof-name=${name}.cpuprofile`];

export interface Cluster {
  readonly member: MemberProcess;
  /** A member of another pool, through which calls reach the first one. */
  readonly gateway: MemberProcess;
  readonly consul: string;
  /** Waits until the member is quiet and its warm processes wait. @returns as `untilQuiet`. */
  settled(): Promise<number>;
  end(): Promise<void>;
}

/** Ends a member in order, so that it writes its profile. */
export async function stopMember(member: MemberProcess): Promise<void> {
  member.kill("SIGTERM");
  await within(`the end of ${member.name}`, EXIT_MS, member.exited);
}

/** @param label names the profiles of this cluster. */
export async function startCluster(
  context: Context,
  label: string,
  pools: readonly PoolName[],
): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), "dpool-bench-"));
  const warm = context.quick ? 1 : WARM;
  const consul = await startConsul();
  const common = { consul: consul.httpAddress, args: NO_LIMITS };
  const [member, gateway] = await Promise.all([
    startServe({
      ...common,
      member: "member",
      pool: null,
      args: [...NO_LIMITS, "--config", writePools(folder, pools, warm)],
      nodeArgs: profilingArgs(context, `${label}-member`),
    }),
    startServe({
      ...common,
      member: "gateway",
      pool: "other=1",
      nodeArgs: profilingArgs(context, `${label}-gateway`),
    }),
  ]);
  await eventually(
    "the gateway to see the member",
    async () => {
      const { status } = await fetch(`${gateway.url}/pools/${pools[0]}`);
      if (status !== 200) throw new Error(`HTTP ${status}`);
    },
    VISIBLE_MS,
  );
  const runners = pools.includes("warm") ? warm : 0;
  const settled = () => untilQuiet(member.pid, runners);
  await settled();
  return {
    settled,
    member,
    gateway,
    consul: consul.httpAddress,
    async end() {
      await Promise.all([stopMember(member), stopMember(gateway)]);
      await consul.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
