/** BullMQ's worker with a sandboxed processor: `bullmq-worker PORT FILE`. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { PACKAGES } from "../peers/install.ts";
import { MAX_CALLERS } from "../setting/pools.ts";

interface WorkerClass {
  new (name: string, file: string, options: object): { waitUntilReady(): Promise<unknown> };
}

const [port, file = ""] = process.argv.slice(2);
const load = createRequire(join(PACKAGES, "package.json"));
const { Worker } = load("bullmq") as { Worker: WorkerClass };
const worker = new Worker("bench", file, {
  connection: { host: "127.0.0.1", port: Number(port) },
  concurrency: MAX_CALLERS,
  // A processor is a child process of its own.
  useWorkerThreads: false,
});
await worker.waitUntilReady();
process.once("disconnect", () => process.exit());
process.send?.("ready");
