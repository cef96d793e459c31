/**
 * Keeps processes after their call for further calls of the same caller in the same runtime. A call
 * finds the globals and files of the call before it. A process in which a call left something
 * running is killed.
 */
import type { StartedWork, Work } from "../runtime.ts";
import { ReusableWorker } from "./reusable-worker.ts";
import type { Worker } from "./worker.ts";

/** One minute without a call, after which a process is killed. */
const IDLE_MS = 60_000;

/** A waiting process is checked this often for work that a call left in it. */
const CHECK_MS = 500;

export interface ReuseOptions {
  /** The number of waiting processes. Beyond it, the one that waits longest is evicted. */
  readonly maxIdle: number;
  /** The number of calls after which a process is replaced. */
  readonly maxUses: number;
  /** The memory in bytes beyond which a process takes no further call, and is replaced. */
  readonly maxMemoryBytes: number;
}

interface Idle {
  readonly key: string;
  readonly worker: ReusableWorker;
  readonly timer: NodeJS.Timeout;
}

/** The processes of one pool that wait for a further call, by runtime and caller. */
export class ReusePool {
  readonly #options: ReuseOptions;
  /** The waiting processes, in the order in which they began to wait. */
  #idle: Idle[] = [];
  readonly #ending = new Set<Promise<unknown>>();
  /** The number of calls that a waiting process has taken so far. */
  taken = 0;
  #closed = false;
  #checking: NodeJS.Timeout | undefined;

  constructor(options: ReuseOptions) {
    this.#options = options;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** Calls a function in a process that waits for this key, or else in a new one. */
  async call(key: string, work: Work, start: () => Promise<Worker>): Promise<StartedWork> {
    for (let next = this.#take(key); next; next = this.#take(key)) {
      const worker = next;
      const { started, accepted } = worker.call(work, () => this.#keep(key, worker));
      // A former call may have ended or blocked the process. This call then tries another.
      if (!(await accepted)) continue;
      this.taken += 1;
      return started;
    }
    const worker = this.#reusable(await start());
    return worker.call(work, () => this.#keep(key, worker), true).started;
  }

  /** Kills the waiting processes, and resolves when they have ended. Others end with their call. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#checking);
    for (const { worker } of this.#idle) this.#evict(worker);
    await Promise.all(this.#ending);
  }

  /** The process that has waited for this key for the shortest time. */
  #take(key: string): ReusableWorker | undefined {
    const worker = this.#idle.findLast((idle) => idle.key === key)?.worker;
    if (worker) this.#forget(worker);
    return worker;
  }

  #reusable(worker: Worker): ReusableWorker {
    const reusable = new ReusableWorker(worker);
    void reusable.process.exited.then(() => this.#forget(reusable));
    return reusable;
  }

  /**
   * @returns whether the call is over as it is, although its process may be evicted. Otherwise the
   *   call ends with its process.
   */
  #keep(key: string, worker: ReusableWorker): boolean {
    if (this.#closed) return false;
    if (this.#isSpent(worker)) {
      this.#evict(worker);
      return true;
    }
    const timer = setTimeout(() => this.#evict(worker), IDLE_MS).unref();
    this.#idle.push({ key, worker, timer });
    this.#checking ??= setInterval(() => this.#check(), CHECK_MS).unref();
    const [longest] = this.#idle;
    if (this.#idle.length > this.#options.maxIdle && longest) this.#evict(longest.worker);
    return true;
  }

  #forget(worker: ReusableWorker): void {
    const idle = this.#idle.find((each) => each.worker === worker);
    if (!idle) return;
    clearTimeout(idle.timer);
    // A copy, because others go through the list meanwhile.
    this.#idle = this.#idle.filter((each) => each !== idle);
  }

  /**
   * Whether a process is to be replaced, so that a call does not die of the memory that others have
   * left in its process.
   */
  #isSpent({ uses, process }: ReusableWorker): boolean {
    const { maxUses, maxMemoryBytes } = this.#options;
    return uses >= maxUses || process.holds(maxMemoryBytes);
  }

  /** Ends the waiting processes that have grown, or do work, which would run without a slot. */
  #check(): void {
    for (const { worker } of this.#idle)
      if (!worker.isResting() || this.#isSpent(worker)) this.#evict(worker);
    if (this.#idle.length > 0) return;
    clearInterval(this.#checking);
    this.#checking = undefined;
  }

  #evict(worker: ReusableWorker): void {
    this.#forget(worker);
    const { exited } = worker.process;
    this.#ending.add(exited);
    void exited.then(() => this.#ending.delete(exited));
    worker.process.kill();
  }
}
