/**
 * Starts processes beforehand, each of which waits for one job. A process that is taken, or that
 * ends, is replaced in the background.
 */
import { totalmem } from "node:os";
import { messageOf } from "../../../openapi/errors.ts";
import type { StartQueue } from "./start-queue.ts";

interface Startable {
  readonly process: { readonly exited: Promise<unknown>; kill(): void };
}

export interface WarmPoolOptions<P extends Startable> {
  /** The number of processes that wait at a time. */
  readonly size: number;
  /** Starts a process. Resolves when it waits for its job. */
  readonly start: () => Promise<P>;
  readonly startQueue: StartQueue;
  /** Milliseconds before the first start. Default: 0. */
  readonly delayMs?: number;
  /** Whether the machine has memory for another process. Default: {@link hasSpareMemory}. */
  readonly hasMemory?: () => boolean;
  /** Called when a process does not start, or ends soon; not again until a process works. */
  readonly onTrouble?: (reason: string) => void;
}

/** A process that waits this long works. After one that ends sooner, the pool backs off. */
const STABLE_MS = 10_000;
/** The pause before the next start doubles with each failure in a row. */
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 30_000;
/**
 * The call that took a process comes first: a short one ends before the next start. A pool that is
 * empty waits no longer than 2 ms, because the next call needs its process.
 */
const REFILL_DELAY_MS = 15;
const EMPTY_DELAY_MS = 2;
/** How often the pool checks for memory when there is too little. */
const MEMORY_POLL_MS = 1_000;
/** 512 MiB, and a tenth of all memory, that spare processes leave free. */
const FREE_BYTES = 512 * 1024 * 1024;
const FREE_SHARE = 0.1;

/** Whether there is memory for a spare process, also in this process's own control group. */
export function hasSpareMemory(
  available = process.availableMemory(),
  total = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
) {
  return available >= Math.max(FREE_BYTES, total * FREE_SHARE);
}

export class WarmPool<P extends Startable> {
  readonly #options: WarmPoolOptions<P>;
  /** The processes that wait, with the times at which they began to. */
  readonly #idle = new Map<P, number>();
  /** The number of processes that were taken so far. */
  taken = 0;
  #closed = false;
  #filling: Promise<void> | undefined;
  #pauseMs = 0;
  #endPause: () => void = () => {};

  constructor(options: WarmPoolOptions<P>) {
    this.#options = options;
    if (options.delayMs) setTimeout(() => this.#fill(), options.delayMs).unref();
    else this.#fill();
  }

  /** The number of processes that wait now. */
  get idle(): number {
    return this.#idle.size;
  }

  /** A waiting process, which the pool gives to nobody else; undefined for none. */
  take(): P | undefined {
    const [worker] = this.#idle.keys();
    if (worker === undefined) return undefined;
    this.#idle.delete(worker);
    this.taken += 1;
    this.#pauseMs = 0;
    const delayMs = this.#idle.size > 0 ? REFILL_DELAY_MS : EMPTY_DELAY_MS;
    setTimeout(() => this.#fill(), delayMs).unref();
    return worker;
  }

  /**
   * Kills the process that has waited longest, if it has waited for longer than `maxAgeMs`, and
   * replaces it; those that wait beside it stay. Kills all for 0.
   */
  giveUp(maxAgeMs: number): void {
    for (const [worker, since] of this.#idle) {
      if (performance.now() - since < maxAgeMs) continue;
      this.#idle.delete(worker);
      worker.process.kill();
      void worker.process.exited.then(() => this.#fill());
      if (maxAgeMs > 0) return;
    }
  }

  /** Kills the waiting processes and starts no more. Resolves when they have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#endPause();
    const idle = [...this.#idle.keys()];
    this.#idle.clear();
    for (const { process } of idle) process.kill();
    await Promise.all([this.#filling, ...idle.map(({ process }) => process.exited)]);
  }

  #fill(): void {
    if (this.#closed) return;
    this.#filling ??= this.#refill().finally(() => {
      this.#filling = undefined;
      // A process may have been taken in this moment.
      if (this.#idle.size < this.#options.size) this.#fill();
    });
  }

  async #refill(): Promise<void> {
    const { size, startQueue, hasMemory = hasSpareMemory } = this.#options;
    const starting = new Set<Promise<void>>();
    while (!this.#closed && this.#idle.size + starting.size < size) {
      if (this.#pauseMs > 0) await this.#pause(this.#pauseMs);
      if (!hasMemory()) {
        await this.#pause(MEMORY_POLL_MS);
        continue;
      }
      const start = startQueue.spare(() => this.#start());
      starting.add(start);
      void start.then(() => starting.delete(start));
      if (starting.size >= startQueue.sparesAtOnce) await Promise.race(starting);
    }
    await Promise.all(starting);
  }

  async #start(): Promise<void> {
    // The pool may have been closed while the start waited in the queue.
    if (this.#closed) return;
    try {
      const worker = await this.#options.start();
      if (!this.#closed) return this.#add(worker);
      worker.process.kill();
      await worker.process.exited;
    } catch (error) {
      this.#failed(messageOf(error));
    }
  }

  #add(worker: P): void {
    const since = performance.now();
    this.#idle.set(worker, since);
    void worker.process.exited.then(() => {
      if (!this.#idle.delete(worker)) return;
      if (performance.now() - since < STABLE_MS) this.#failed("it ended while it waited");
      else this.#pauseMs = 0;
      this.#fill();
    });
  }

  #failed(reason: string): void {
    if (this.#pauseMs === 0) this.#options.onTrouble?.(reason);
    this.#pauseMs = Math.min(LAST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, this.#pauseMs * 2));
  }

  /** Waits `ms` milliseconds, or until the pool is closed. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#endPause = resolve;
      setTimeout(resolve, this.#closed ? 0 : ms).unref();
    });
  }
}
