/** Calls one peer: `peer-client NAME PORT FILE`. */

import { type Measured, measured } from "../load/task.ts";
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
  return measured({ times, failures }, { start, cpu });
}

process.on("message", async (task: PeerTask) => process.send?.(await run(task)));
process.once("disconnect", () => process.exit());
