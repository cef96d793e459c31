/** A worker of gearmand: `gearman-worker PORT`. */
import { startGearmanWorker } from "../peers/gearman.ts";

startGearmanWorker(Number(process.argv[2]), "bench", (work) => {
  const { source, args } = JSON.parse(work) as { source: string; args: unknown[] };
  // biome-ignore lint/security/noGlobalEval: The source is the benchmark's own.
  return JSON.stringify((globalThis.eval(source) as (...given: unknown[]) => unknown)(...args));
});
process.once("disconnect", () => process.exit());
process.send?.("ready");
