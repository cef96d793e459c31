/** The peers as a client sees them: one call of `(x) => x`. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { GearmanClient } from "./gearman.ts";
import { PACKAGES } from "./install.ts";

export interface PeerClient {
  call(): Promise<unknown>;
}

/** What a peer works on: the source of a function with its arguments, as our own calls are. */
export const WORK = { source: "(x) => x", args: [7] };
/** As many processes as L has. */
const PROCESSES = 16;
/** BullMQ keeps so many jobs that have ended: a caller asks for its job once more. */
const KEPT = 1_000;
/** A call that takes longer has failed. */
const CALL_MS = 20_000;

interface Pool {
  run(work: object): Promise<unknown>;
}
type PoolClass = new (options: object) => Pool;

const load = createRequire(join(PACKAGES, "package.json"));

interface QueueClass {
  new (
    name: string,
    options: object,
  ): {
    setMaxListeners(count: number): void;
    add(
      name: string,
      work: object,
      options: object,
    ): Promise<{ waitUntilFinished(events: object, ms: number): Promise<unknown> }>;
  };
}
interface EventsClass {
  new (name: string, options: object): { waitUntilReady(): Promise<unknown> };
}

async function bullmq(port: number): Promise<PeerClient> {
  const { Queue, QueueEvents } = load("bullmq") as { Queue: QueueClass; QueueEvents: EventsClass };
  const options = { connection: { host: "127.0.0.1", port } };
  const queue = new Queue("bench", options);
  const events = new QueueEvents("bench", options);
  await events.waitUntilReady();
  // Each call under way listens.
  queue.setMaxListeners(0);
  return {
    async call() {
      const job = await queue.add("call", WORK, { removeOnComplete: KEPT });
      return job.waitUntilFinished(events, CALL_MS);
    },
  };
}

/** @param file a module whose export runs the work. */
async function tinypool(_port: number, file: string): Promise<PeerClient> {
  // It exports for `import` only.
  const { default: Tinypool } = (await import(
    join(PACKAGES, "node_modules/tinypool/dist/index.js")
  )) as { default: PoolClass };
  const pool = new Tinypool({
    filename: file,
    runtime: "child_process",
    minThreads: PROCESSES,
    maxThreads: PROCESSES,
  });
  return { call: () => pool.run(WORK) };
}

async function piscina(_port: number, file: string): Promise<PeerClient> {
  const { Piscina } = load("piscina") as { Piscina: PoolClass };
  const pool = new Piscina({ filename: file, minThreads: PROCESSES, maxThreads: PROCESSES });
  return { call: () => pool.run(WORK) };
}

async function gearman(port: number): Promise<PeerClient> {
  const idle: GearmanClient[] = [];
  return {
    async call() {
      const client = idle.pop() ?? new GearmanClient(port);
      const answer = await client.submit("bench", JSON.stringify(WORK));
      idle.push(client);
      return JSON.parse(answer);
    },
  };
}

/** The clients by the names of the peers. */
export const CLIENTS: Readonly<
  Record<string, (port: number, file: string) => Promise<PeerClient>>
> = { bullmq, tinypool, piscina, gearman };
