/** The peers, each with what it needs to run. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Measured } from "../load/task.ts";
import { Worker } from "../load/worker.ts";
import type { PeerTask } from "../programs/peer-client.ts";
import { TOOLS } from "./install.ts";
import { freePort, type Running, startProgram, startServer } from "./programs.ts";

const GEARMAN_WORKERS = 16;

export interface Peer {
  run(task: PeerTask): Promise<Pick<Measured, "perSecond" | "p50" | "p99">>;
  end(): Promise<void>;
}

interface Definition {
  /** The name in the report; the first word names it in the set-up. */
  readonly name: string;
  start(): Promise<Peer>;
}

/** The function that every peer runs in its processes, in the module that the peer loads. */
function moduleOf(name: string, text: string): string {
  mkdirSync(TOOLS, { recursive: true });
  const file = join(TOOLS, name);
  writeFileSync(file, text);
  return file;
}

/** A client in a process of its own, before servers that run already. */
function clientOf(name: string, port: number, file: string, running: readonly Running[]): Peer {
  const client = new Worker<PeerTask, Measured>("peer-client", [name, String(port), file]);
  return {
    async run(task) {
      const { good, failures, ...measured } = await client.run(task);
      if (Object.keys(failures).length > 0) throw new Error(JSON.stringify(failures));
      if (good === 0) throw new Error("no call came to its end");
      return measured;
    },
    async end() {
      await client.end();
      for (const each of running) await each.end();
    },
  };
}

async function startBullmq(): Promise<Peer> {
  const processor = moduleOf(
    "processor.cjs",
    "module.exports = async ({ data }) => (0, eval)(data.source)(...data.args);\n",
  );
  const port = await freePort();
  const options = "--bind 127.0.0.1 --appendonly no --port".split(" ");
  const redis = await startServer("redis-server", ["--save", "", ...options, String(port)], port);
  const worker = await startProgram("bullmq-worker", [String(port), processor]);
  return clientOf("bullmq", port, "", [worker, redis]);
}

async function startGearman(): Promise<Peer> {
  const port = await freePort();
  const args = ["--listen=127.0.0.1", `--port=${port}`, "--log-file=stderr"];
  const server = await startServer("gearmand", args, port);
  const workers = await Promise.all(
    Array.from({ length: GEARMAN_WORKERS }, () => startProgram("gearman-worker", [String(port)])),
  );
  return clientOf("gearman", port, "", [...workers, server]);
}

async function startInProcess(name: string): Promise<Peer> {
  const text = "export default ({ source, args }) => (0, eval)(source)(...args);\n";
  return clientOf(name, 0, moduleOf("worker.mjs", text), []);
}

export const PEERS: readonly Definition[] = [
  { name: "BullMQ, sandboxed", start: startBullmq },
  { name: "tinypool, child processes", start: () => startInProcess("tinypool") },
  { name: "piscina, threads", start: () => startInProcess("piscina") },
  { name: "gearmand", start: startGearman },
];
