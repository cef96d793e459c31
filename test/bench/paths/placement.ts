/**
 * Placing a call in pools of 1 to 1,000 members: by the SDK, and by a gateway. Stubs answer for the
 * members; Consul, the SDK and the gateway are real.
 */

import { registrationOf } from "../../../server/membership/consul-registration.ts";
import { type ConsulAgent, startConsul } from "../../helpers/consul.ts";
import { startServe } from "../../helpers/processes.ts";
import { eventually } from "../../helpers/wait.ts";
import type { Context, Outcome } from "../benchmark.ts";
import type { Measured, Task } from "../load/task.ts";
import { Worker } from "../load/worker.ts";
import { cpuMsOf } from "../measure/processes.ts";
import { inTurns, type Subject } from "../measure/turns.ts";
import type { SdkTask } from "../programs/sdk-load.ts";
import { nameOf, poolOf, type StubAnswer, type StubTask } from "../programs/stubs.ts";
import { NO_LIMITS, profilingArgs, stopMember } from "../setting/cluster.ts";
import { startCountingProxy } from "../setting/counting-proxy.ts";
import { IDENTITY, SSE } from "./calls.ts";

const SIZES = [1, 2, 10, 100, 1_000];
const SLOTS = 64;
const VISIBLE_MS = 60_000;
/** 10 minutes: no stub passes its check again. */
const TTL = "600s";
const AT_A_TIME = 32;

type PlacedSample = Readonly<
  Record<"p50" | "p99" | "perSecond" | "requests" | "consul" | "cpu", number>
>;

/** Tells Consul of the stubs. */
async function register(consul: ConsulAgent, urls: readonly string[], sizes: readonly number[]) {
  let next = 0;
  const registerNext = async () => {
    while (next < urls.length) {
      const index = next++;
      const pools = sizes.filter((size) => index < size).map((size) => [poolOf(size), SLOTS]);
      const { check, ...service } = registrationOf({
        name: nameOf(index),
        url: urls[index] as string,
        pools: Object.fromEntries(pools),
        sandbox: "full",
        version: "0.2.0",
        boot: "0".repeat(16),
      });
      await consul.ask("/v1/agent/service/register", "PUT", {
        ...service,
        check: { CheckID: check.checkid, Name: check.name, TTL, Status: "passing" },
      });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, registerNext));
}

export async function run(context: Context): Promise<Outcome> {
  const { quick, log } = context;
  const sizes = quick ? SIZES.slice(0, 3) : SIZES;
  const [rounds, one, many] = quick ? [1, 5, 20] : [5, 150, 600];
  const consul = await startConsul();
  const proxy = await startCountingProxy(consul.httpAddress);
  const stubs = new Worker<StubTask, StubAnswer>("stubs");
  const { urls } = await stubs.run({ add: Math.max(...sizes), sizes });
  log(`placement: ${urls.length} members`);
  await register(consul, urls, sizes);
  const gateway = await startServe({
    member: "gateway",
    consul: proxy.url,
    pool: "other=1",
    args: NO_LIMITS,
    nodeArgs: profilingArgs(context, "placement-gateway"),
  });
  const loader = new Worker<Task, Measured>("load");
  const sdk = new Worker<SdkTask, Measured>("sdk-load");
  const notes: string[] = [];
  const counted = async (calling: Promise<Measured>, pid: number): Promise<PlacedSample> => {
    const [consulBefore, cpuBefore] = [proxy.count, cpuMsOf(pid)];
    await stubs.run({ add: 0, sizes });
    const { good, p50, p99, perSecond, failures } = await calling;
    if (Object.keys(failures).length > 0) throw new Error(JSON.stringify(failures));
    const { requests } = await stubs.run({ add: 0, sizes });
    return {
      p50,
      p99,
      perSecond,
      requests: requests / good,
      consul: (proxy.count - consulBefore) / good,
      cpu: (cpuMsOf(pid) - cpuBefore) / good,
    };
  };
  const bySdk = (size: number, callers: number, calls: number) =>
    sdk.run({ consul: proxy.url, pool: poolOf(size), callers, calls });
  const byGateway = (size: number, callers: number, calls: number) =>
    loader.run({
      urls: [gateway.url],
      path: `/pools/${poolOf(size)}/call`,
      body: { function: IDENTITY },
      ...SSE,
      callers,
      calls,
    });
  const ways = { SDK: [bySdk, sdk.pid], gateway: [byGateway, gateway.pid] } as const;
  try {
    await eventually(
      "the gateway to see the stubs",
      async () => {
        const { status } = await fetch(`${gateway.url}/pools/${poolOf(Math.max(...sizes))}`);
        if (status !== 200) throw new Error(`HTTP ${status}`);
      },
      VISIBLE_MS,
    );
    // The first call of a client reads the list.
    for (const size of sizes) for (const [call] of Object.values(ways)) await call(size, 4, many);
    const subjects: Subject<PlacedSample>[] = Object.entries(ways).flatMap(([way, [call, pid]]) =>
      [1, 16].flatMap((callers) =>
        sizes.map((size) => ({
          name: `${way}, ${size}, ${callers}`,
          measure: () => counted(call(size, callers, callers === 1 ? one : many), pid),
        })),
      ),
    );
    const measured = await inTurns(subjects, rounds, (name, error) =>
      notes.push(`${name}: ${(error as Error).message}`),
    );
    const figures: Record<string, number> = {};
    const rows = [...measured].map(([name, each]) => {
      const [way = "", size = "", callers = ""] = name.split(", ");
      const prefix = way === "SDK" ? "placement" : "placement/gateway";
      for (const [measure, { median }] of Object.entries(each))
        figures[`${prefix}/${size}/${callers}/${measure}`] = median;
      const { requests, consul: asked, p50, p99, perSecond, cpu } = each;
      return [way, size, callers, p50, p99, perSecond, requests, asked, cpu];
    });
    const columns = ["by", "members", "callers", "p50 ms", "p99 ms", "calls/s", "requests a call"];
    const more = ["to Consul a call", "processor ms a call"];
    return {
      tables: [{ title: "Placing among stubs", columns: [...columns, ...more], rows }],
      figures,
      notes,
    };
  } finally {
    await Promise.all([loader.end(), sdk.end(), stubs.end(), stopMember(gateway)]);
    proxy.close();
    await consul.stop();
  }
}
