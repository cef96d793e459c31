/** Loads pools by the SDK, which places each call itself. */
import { DistributedPool } from "../../../sdk/typescript/node.ts";
import { type Measured, measured } from "../load/task.ts";

export interface SdkTask {
  readonly consul: string;
  readonly pool: string;
  readonly callers: number;
  readonly calls: number;
}

let known: { readonly consul: string; readonly pools: DistributedPool } | undefined;

function poolsOf(consul: string): DistributedPool {
  if (known?.consul !== consul) known = { consul, pools: new DistributedPool({ consul }) };
  return known.pools;
}

async function run({ consul, pool, callers, calls }: SdkTask): Promise<Measured> {
  const quiet = poolsOf(consul).with({ stdout: null, stderr: null });
  const identity = { function: { source: "(x) => x", args: [7] } };
  const times: number[] = [];
  const failures: Record<string, number> = {};
  let left = calls;
  const cpu = process.cpuUsage();
  const start = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (left-- > 0) {
        const from = performance.now();
        try {
          await quiet.call(pool, identity);
          times.push(performance.now() - from);
        } catch (error) {
          const { code } = error as { code?: string };
          const name = code ?? String(error);
          failures[name] = (failures[name] ?? 0) + 1;
        }
      }
    }),
  );
  return measured({ times, failures }, { start, cpu });
}

process.on("message", async (task: SdkTask) => process.send?.(await run(task)));
process.once("disconnect", () => process.exit());
