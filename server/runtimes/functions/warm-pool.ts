/** Processes that were started beforehand and wait for their one job; each that is taken, or ends, is replaced in the background. */
import { totalmem } from "node:os";
import { messageOf } from "../../../openapi/errors.ts";
import type { StartQueue } from "./start-queue.ts";

interface Startable {
  readonly process: { readonly exited: Promise<unknown>; kill(): void };
}

export interface WarmPoolOptions<P extends Startable> {
  /** How many wait at a time. */
  readonly size: number;
  /** Starts one; resolves when it waits for its job. */
  readonly start: () => Promise<P>;
  readonly turns: StartQueue;
  /** Whether the machine has memory for another one. */
  readonly hasMemory?: () => boolean;
  /** Is told once when processes cannot be started, or end at once, until one is well again. */
  readonly onTrouble?: (message: string) => void;
}

/** One that ends this soon while it waits ends at once: the next one is started after a pause, which doubles each time. */
const WELL_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 30_000;
/** The call that has taken one comes first: a short one has its value before the next process is forked. */
const AFTER_MS = 10;
/** Where memory is short it is looked at again after this. */
const MEMORY_POLL_MS = 1_000;
/** Memory that spare processes leave free: so much, and this part of it all. */
const FREE_BYTES = 512 * 1024 * 1024;
const FREE_PART = 0.1;

/** Whether there is memory to spare; a control group that this process is in counts. */
export function memoryToSpare(
  available = process.availableMemory(),
  total = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
) {
  return available >= Math.max(FREE_BYTES, total * FREE_PART);
}

export class WarmPool<P extends Startable> {
  readonly #options: WarmPoolOptions<P>;
  readonly #idle = new Set<P>();
  readonly #closing = new AbortController();
  #filling: Promise<void> | undefined;
  #pauseMs = 0;

  constructor(options: WarmPoolOptions<P>) {
    this.#options = options;
    this.#fill();
  }

  /** How many wait now. */
  get idle(): number {
    return this.#idle.size;
  }

  /** One that has waited, never handed out again; undefined where there is none. */
  take(): P | undefined {
    const [worker] = this.#idle;
    if (worker === undefined) return undefined;
    this.#idle.delete(worker);
    this.#pauseMs = 0;
    setTimeout(() => this.#fill(), AFTER_MS).unref();
    return worker;
  }

  /** Ends those that wait and starts no more. Resolves when nothing of them is left. */
  async close(): Promise<void> {
    this.#closing.abort();
    const idle = [...this.#idle];
    this.#idle.clear();
    for (const { process } of idle) process.kill();
    await Promise.all([this.#filling, ...idle.map(({ process }) => process.exited)]);
  }

  #fill(): void {
    const { signal } = this.#closing;
    if (signal.aborted) return;
    this.#filling ??= this.#refill(signal).finally(() => {
      this.#filling = undefined;
      // One may have been taken in this moment.
      if (!signal.aborted && this.#idle.size < this.#options.size) this.#fill();
    });
  }

  async #refill(signal: AbortSignal): Promise<void> {
    const { size, turns, hasMemory = memoryToSpare } = this.#options;
    while (!signal.aborted && this.#idle.size < size) {
      if (this.#pauseMs > 0) await pause(this.#pauseMs, signal);
      if (hasMemory()) await turns.spare(() => this.#start(signal));
      else await pause(MEMORY_POLL_MS, signal);
    }
  }

  async #start(signal: AbortSignal): Promise<void> {
    // It may have been closed while it waited for its turn.
    if (signal.aborted) return;
    try {
      const worker = await this.#options.start();
      if (!signal.aborted) return this.#add(worker);
      worker.process.kill();
      await worker.process.exited;
    } catch (error) {
      this.#failed(messageOf(error));
    }
  }

  #add(worker: P): void {
    const since = performance.now();
    this.#idle.add(worker);
    void worker.process.exited.then(() => {
      if (!this.#idle.delete(worker)) return;
      if (performance.now() - since < WELL_MS) this.#failed("it ended while it waited");
      else this.#pauseMs = 0;
      this.#fill();
    });
  }

  #failed(why: string): void {
    if (this.#pauseMs === 0) this.#options.onTrouble?.(why);
    this.#pauseMs = Math.min(
      LAST_PAUSE_MS,
      this.#pauseMs === 0 ? FIRST_PAUSE_MS : this.#pauseMs * 2,
    );
  }
}

/** Waits, less long when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms).unref();
    signal.addEventListener("abort", over);
    if (signal.aborted) over();
  });
}
