/**
 * 2,000 callers arrive together at one member, each with one call. Meanwhile another process asks
 * whether the member is alive.
 */
import type { Context, Outcome } from "../benchmark.ts";
import type { Measured, Task } from "../load/task.ts";
import { Worker } from "../load/worker.ts";
import { untilQuiet } from "../measure/quiet.ts";
import type { LivezAnswer, LivezTask } from "../programs/livez.ts";
import { startObserved } from "../setting/observed.ts";
import { IDENTITY, SSE } from "./calls.ts";

const SLOTS = 16;
const WAIT_MS = 60_000;
const ROUNDS = 3;

export async function run(context: Context): Promise<Outcome> {
  const callers = context.quick ? 50 : 2_000;
  const pools = { reused: { maxChildren: SLOTS, reuse: true, maxQueue: 10_000 } };
  const observed = await startObserved(context, "many", pools);
  const { url, pid } = observed.member;
  const loader = new Worker<Task, Measured>("load");
  const body = { pool: "reused", function: IDENTITY, waitMs: WAIT_MS };
  const task = { urls: [url], path: "/call", body, ...SSE };
  const rows = [];
  let worst = { failed: 0, p99: 0, mean: 0, livez: 0, lag: 0 };
  try {
    // The pool keeps its processes from these calls on.
    await loader.run({ ...task, callers: SLOTS, calls: SLOTS * 4 });
    for (let round = 0; round < (context.quick ? 1 : ROUNDS); round++) {
      await untilQuiet(pid);
      const asker = new Worker<LivezTask, LivezAnswer>("livez");
      await asker.run({ url });
      await observed.look();
      const { good, mean, p50, p99, failures } = await loader.run({
        ...task,
        callers,
        calls: callers,
      });
      const livez = await asker.run({});
      const lag = await observed.look();
      await asker.end();
      const codes = Object.entries(failures).map(([code, count]) => `${count} ${code}`);
      rows.push([
        String(callers),
        `${good}`,
        codes.join(", ") || "none",
        mean,
        p50,
        p99,
        p99 / mean,
        livez.p99,
        livez.max,
        lag.p99,
        lag.max,
      ]);
      // The worst round counts: the promise is for each arrival.
      worst = {
        failed: Math.max(worst.failed, callers - good),
        ...(p99 / mean >= worst.p99 / (worst.mean || 1) ? { p99, mean } : worst),
        livez: Math.max(worst.livez, livez.max),
        lag: Math.max(worst.lag, lag.max),
      };
    }
  } finally {
    await loader.end();
    await observed.end();
  }
  const title = `${callers} callers at once, one member with ${SLOTS} slots, a row for each round`;
  const columns = ["callers", "served", "failed", "mean ms", "p50 ms", "p99 ms", "p99 beside mean"];
  const more = ["`/livez` p99 ms", "max ms", "event loop p99 ms", "max ms"];
  const figures = Object.entries(worst).map(([name, value]) => [`many/${name}`, value]);
  return {
    tables: [{ title, columns: [...columns, ...more], rows }],
    figures: Object.fromEntries(figures),
  };
}
