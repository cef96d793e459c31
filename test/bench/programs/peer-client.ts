/** Calls one peer: `peer-client NAME PORT FILE`. */

import type { Measured } from "../load/task.ts";
import { ascending, mean, quantile } from "../measure/statistics.ts";
import { CLIENTS } from "../peers/client.ts";

export interface PeerTask {
  readonly callers: number;
  readonly ms: number;
}

const [name = "", port, file = ""] = process.argv.slice(2);
const opening = CLIENTS[name]?.(Number(port), file);

async function run({ callers, ms }: PeerTask): Promise<Measured> {
  const client = await opening;
  if (!client) throw new Error(`expected a peer; got ${name}`);
  const times: number[] = [];
  const failures: Record<string, number> = {};
  const cpu = process.cpuUsage();
  const start = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() - start < ms) {
        const from = performance.now();
        try {
          const value = await client.call();
          if (value !== 7) throw new Error(`expected 7; got ${JSON.stringify(value)}`);
          times.push(performance.now() - from);
        } catch (error) {
          const { message } = error as Error;
          failures[message] = (failures[message] ?? 0) + 1;
        }
      }
    }),
  );
  const seconds = (performance.now() - start) / 1_000;
  const used = process.cpuUsage(cpu);
  const sorted = ascending(times);
  return {
    good: times.length,
    perSecond: times.length / seconds,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    mean: mean(times),
    max: sorted.at(-1) ?? Number.NaN,
    cpuMs: (used.user + used.system) / 1_000,
    failures,
  };
}

process.on("message", async (task: PeerTask) => process.send?.(await run(task)));
process.once("disconnect", () => process.exit());
