/**
 * Overload: more callers than slots, and more calls than the slots can serve. The benchmark prints
 * the results per second, as a part of what the slots can give: the curve is flat, and does not
 * fall. Each member is a process of its own, and so is the load.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DistributedPool, PoolError } from "../../../sdk/typescript/node.ts";
import { startConsul } from "../../helpers/consul.ts";
import { startServe } from "../../helpers/processes.ts";

const MEMBERS = 5;
const SLOTS = 6;
/** 1 s of work in each call: 30 results per second from all slots. */
const WORK_MS = 1_000;
const CAPACITY = (MEMBERS * SLOTS * 1_000) / WORK_MS;
const WAITERS = (process.env.BENCH_WAITERS ?? "100,400,1000,2000").split(",").map(Number);
const LOADS = (process.env.BENCH_LOADS ?? "0.5,1,2,5,10").split(",").map(Number).filter(Boolean);
const WAYS = (process.env.BENCH_WAYS ?? "one gateway,all members,SDK").split(",");
/** The time of each measurement, after all callers have arrived. */
const MEASURE_MS = Number(process.env.BENCH_MS ?? 10_000);
/** A caller of the open loop waits for at most 5 s. */
const PATIENCE_MS = 5_000;

/** The callers arrive over 2 s; the measurement begins after 8 s. */
const RAMP_MS = 8_000;

const work = `() => new Promise((resolve) => setTimeout(resolve, ${WORK_MS}))`;

type Way = { readonly urls: readonly string[] } | { readonly consul: string };
interface Task {
  readonly way: Way;
  /** Callers that call again and again; or the calls that start in each second. */
  readonly load: { readonly waiters: number } | { readonly perSecond: number };
}
interface Measured {
  readonly perSecond: number;
  readonly failures: Readonly<Record<string, number>>;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Loads the pool, in a process of its own. */
async function measure({ way, load }: Task): Promise<Measured> {
  const pools =
    "consul" in way
      ? [new DistributedPool({ consul: way.consul })]
      : way.urls.map((url) => new DistributedPool({ url }));
  const failures: Record<string, number> = {};
  let results = 0;
  let over = false;
  const call = async (index: number, waitMs: number) => {
    const pool = pools[index % pools.length] as DistributedPool;
    try {
      await pool
        .with({ stdout: null, stderr: null })
        .call("pipeline", { function: { source: work }, waitMs });
      results += 1;
    } catch (error) {
      if (over) return;
      const code = error instanceof PoolError ? error.code : String(error);
      failures[code] = (failures[code] ?? 0) + 1;
      await pause(1_000);
    }
  };
  let measuring: { readonly at: number; readonly results: number };
  if ("waiters" in load) {
    for (let index = 0; index < load.waiters; index++)
      void (async () => {
        // Callers arrive over two seconds.
        await pause((index / load.waiters) * 2_000);
        while (!over) await call(index, 600_000);
      })();
    await pause(RAMP_MS);
    measuring = { at: performance.now(), results };
    await pause(MEASURE_MS);
  } else {
    const begin = performance.now();
    let started = 0;
    const timer = setInterval(() => {
      const due = ((performance.now() - begin) / 1_000) * load.perSecond;
      while (started < due) void call(started++, PATIENCE_MS);
    }, 10);
    await pause(PATIENCE_MS);
    measuring = { at: performance.now(), results };
    await pause(MEASURE_MS);
    clearInterval(timer);
  }
  const perSecond = ((results - measuring.results) / (performance.now() - measuring.at)) * 1_000;
  over = true;
  await Promise.all(pools.map((pool) => pool.close()));
  return { perSecond, failures };
}

if (process.send) {
  process.once("message", async (task: Task) => {
    const measured = await measure(task);
    process.send?.(measured, () => process.exit());
  });
} else {
  // Processes are reused: the time of a start would hide the time of the wait.
  const folder = await mkdtemp(join(tmpdir(), "dpool-bench-"));
  const config = join(folder, "pools.yaml");
  await writeFile(
    config,
    `pools: {pipeline: {maxChildren: ${SLOTS}, reuse: true, maxQueue: 10000}}\n`,
  );
  const consul = await startConsul();
  const members = await Promise.all(
    Array.from({ length: MEMBERS }, (_, index) =>
      startServe({
        member: `m${index + 1}`,
        consul: consul.httpAddress,
        pool: `pipeline=${SLOTS}`,
        // The loader is one client: its streams and requests would have too low a limit.
        args: ["--config", config, "--max-streams", "100000", "--max-rate", "100000"],
      }),
    ),
  );
  const urls = members.map(({ url }) => url);
  const ways: Record<string, Way> = {
    "one gateway": { urls: urls.slice(0, 1) },
    "all members": { urls },
    SDK: { consul: consul.httpAddress },
  };
  const run = async (task: Task): Promise<Measured> => {
    const loader = fork(fileURLToPath(import.meta.url));
    const answered = once(loader, "message") as Promise<[Measured]>;
    loader.send(task);
    const [measured] = await answered;
    if (loader.exitCode === null) await once(loader, "exit");
    // The members notice that the callers have left.
    await pause(1_000);
    return measured;
  };
  const show = (label: string, { perSecond, failures }: Measured) => {
    const failed = Object.entries(failures).map(([code, count]) => `${count} ${code}`);
    console.log(
      `${label}: ${perSecond.toFixed(1)} results/s, ` +
        `${((perSecond / CAPACITY) * 100).toFixed(0)} % of the slots' capacity` +
        `${failed.length > 0 ? `; ${failed.join(", ")}` : ""}; ` +
        `load average ${loadavg()[0]?.toFixed(1)}`,
    );
  };
  for (const name of WAYS) {
    const way = ways[name] as Way;
    for (const waiters of WAITERS)
      show(`${name}, ${waiters} waiters`, await run({ way, load: { waiters } }));
  }
  for (const load of LOADS) {
    const perSecond = load * CAPACITY;
    show(
      `one gateway, offered ${load} × the capacity (${perSecond}/s)`,
      await run({ way: ways["one gateway"] as Way, load: { perSecond } }),
    );
  }
  await Promise.all(members.map((member) => member.end()));
  await consul.stop();
  await rm(folder, { recursive: true });
}
