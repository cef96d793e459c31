/**
 * Loaded into a member before its own code. At each SIGUSR2 it collects garbage, and writes the lag
 * of the event loop since the last signal, in milliseconds, to `BENCH_OBSERVED`.
 */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** 1 ms between two looks at the clock. Without lag, the histogram shows this. */
const RESOLUTION_MS = 1;
const NS_PER_MS = 1e6;

const lag = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
lag.enable();
let count = 0;
process.on("SIGUSR2", () => {
  const ms = (nanoseconds: number) => nanoseconds / NS_PER_MS;
  const seen = { p50: ms(lag.percentile(50)), p99: ms(lag.percentile(99)), max: ms(lag.max) };
  lag.reset();
  (globalThis as { gc?: () => void }).gc?.();
  const file = `${process.env.BENCH_OBSERVED}.${++count}`;
  // A reader finds the whole file or none.
  writeFileSync(`${file}.part`, JSON.stringify(seen));
  renameSync(`${file}.part`, file);
});
