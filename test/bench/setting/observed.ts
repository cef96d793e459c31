/** A member whose event loop and memory can be looked at from outside. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConsulAgent, startConsul } from "../../helpers/consul.ts";
import { type MemberProcess, startServe } from "../../helpers/processes.ts";
import { eventually } from "../../helpers/wait.ts";
import type { Context } from "../benchmark.ts";
import { NO_LIMITS, profilingArgs, stopMember } from "./cluster.ts";

const ANSWER_MS = 30_000;

/**
 * Loaded into the member before its own code. At each SIGUSR2 it writes the lag of the event loop
 * since the last signal, and collects garbage. It is JavaScript, because Node would hold the
 * compiler of TypeScript in the memory that is measured. 1 ms is the time between two looks at the
 * clock, so a histogram without lag shows 1 ms.
 */
const OBSERVE = `
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
const lag = monitorEventLoopDelay({ resolution: 1 });
lag.enable();
let count = 0;
process.on("SIGUSR2", () => {
  const ms = (nanoseconds) => nanoseconds / 1e6;
  const seen = { p50: ms(lag.percentile(50)), p99: ms(lag.percentile(99)), max: ms(lag.max) };
  lag.reset();
  gc();
  const file = process.env.BENCH_OBSERVED + "." + ++count;
  writeFileSync(file + ".part", JSON.stringify(seen));
  renameSync(file + ".part", file);
});`;
const PRELOAD = `data:text/javascript,${encodeURIComponent(OBSERVE)}`;

/** The lag of an event loop in milliseconds. */
export interface Lag {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Observed {
  readonly member: MemberProcess;
  readonly consul: ConsulAgent;
  /** Collects the member's garbage. @returns the lag since the last look. */
  look(): Promise<Lag>;
  /** Gives the member other pools. */
  reload(pools: object): void;
  end(): Promise<void>;
}

export async function startObserved(
  context: Context,
  label: string,
  pools: object,
): Promise<Observed> {
  const folder = mkdtempSync(join(tmpdir(), "dpool-bench-"));
  const config = join(folder, "pools.yaml");
  const write = (given: object) => writeFileSync(config, JSON.stringify({ pools: given }));
  write(pools);
  const observed = join(folder, "observed");
  const consul = await startConsul();
  const member = await startServe({
    member: "member",
    consul: consul.httpAddress,
    pool: null,
    args: [...NO_LIMITS, "--config", config],
    nodeArgs: ["--expose-gc", "--import", PRELOAD, ...profilingArgs(context, `${label}-member`)],
    env: { BENCH_OBSERVED: observed },
  });
  let looks = 0;
  return {
    member,
    consul,
    async look() {
      const file = `${observed}.${++looks}`;
      member.kill("SIGUSR2");
      const isThere = () => {
        if (!existsSync(file)) throw new Error("there is no file");
      };
      await eventually("the member to show itself", isThere, ANSWER_MS);
      return JSON.parse(readFileSync(file, "utf8")) as Lag;
    },
    reload(given) {
      write(given);
      member.kill("SIGHUP");
    },
    async end() {
      await stopMember(member);
      await consul.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
