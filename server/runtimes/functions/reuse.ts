/**
 * Processes that are kept after their call, for further calls of the same caller in the same runtime. What a call leaves in its process
 * (globals, files in the workspace) the next one finds; what it leaves running ends the process.
 */
import type { StartedWork, Work } from "../runtime.ts";
import { ReusableWorker } from "./reusable-worker.ts";
import type { Worker } from "./worker.ts";

/** A process that nobody has used for so long is ended. */
const IDLE_MS = 60_000;

/** The processes of one pool that are kept, by runtime and caller. */
export class Reuse {
  readonly #max: number;
  /** Those that wait, the one that waits longest first. */
  readonly #idle = new Map<
    ReusableWorker,
    { readonly key: string; readonly timer: NodeJS.Timeout }
  >();
  readonly #ending = new Set<Promise<unknown>>();
  #closed = false;

  /** @param max how many wait at a time; beyond it the one that has waited longest is ended. */
  constructor(max: number) {
    this.#max = max;
  }

  get idle(): number {
    return this.#idle.size;
  }

  /** Calls a function in a process that has waited for this key, else in a new one. */
  async call(key: string, work: Work, start: () => Promise<Worker>): Promise<StartedWork> {
    for (let kept = this.#take(key); kept; kept = this.#take(key)) {
      const worker = kept;
      const { started, begun } = worker.call(work, () => this.#keep(key, worker));
      // One that a former call has ended, or brought to a stop, costs this one nothing but the time to find out.
      if (await begun) return started;
    }
    const worker = this.#adopt(await start());
    return worker.call(work, () => this.#keep(key, worker)).started;
  }

  /** Ends those that wait; those at work end with their call. Resolves when nothing of those that waited is left. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const worker of [...this.#idle.keys()]) this.#end(worker);
    await Promise.all(this.#ending);
  }

  /** One that has waited for this key. */
  #take(key: string): ReusableWorker | undefined {
    const kept = [...this.#idle].findLast(([, waits]) => waits.key === key)?.[0];
    if (kept) this.#forget(kept);
    return kept;
  }

  #adopt(worker: Worker): ReusableWorker {
    const kept = new ReusableWorker(worker);
    void kept.process.exited.then(() => this.#forget(kept));
    return kept;
  }

  /** @returns whether it is kept. */
  #keep(key: string, worker: ReusableWorker): boolean {
    if (this.#closed) return false;
    this.#idle.set(worker, { key, timer: setTimeout(() => this.#end(worker), IDLE_MS).unref() });
    const [longest] = this.#idle.keys();
    if (this.#idle.size > this.#max && longest) this.#end(longest);
    return true;
  }

  #forget(worker: ReusableWorker): void {
    clearTimeout(this.#idle.get(worker)?.timer);
    this.#idle.delete(worker);
  }

  #end(worker: ReusableWorker): void {
    this.#forget(worker);
    const { exited } = worker.process;
    this.#ending.add(exited);
    void exited.then(() => this.#ending.delete(exited));
    worker.process.kill();
  }
}
