/** Tells those who wait in a queue their positions: soon, and once for all changes until then. */
import { turns } from "../../../sdk/typescript/time/turns.ts";
import type { Entry, Queue } from "./queue.ts";

/** 1 s, and 5 ms for each who waits: thousands of reports a second would hold up all work. */
const INTERVAL_MS = 1_000;
const EACH_MS = 5;

export class Positions<T extends Entry & { moveTo(position: number): void }> {
  readonly #queue: Queue<T>;
  #timer: NodeJS.Timeout | undefined;
  /** The report that began last. */
  #latest: object | undefined;

  constructor(queue: Queue<T>) {
    this.#queue = queue;
  }

  /** Notes that positions have changed. */
  changed(): void {
    if (this.#timer || this.#queue.size === 0) return;
    const ms = Math.max(INTERVAL_MS, this.#queue.size * EACH_MS);
    this.#timer = setTimeout(() => void this.#report(), ms);
  }

  /** Reports nothing more of the changes so far. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#latest = undefined;
  }

  async #report(): Promise<void> {
    this.#timer = undefined;
    const report = {};
    this.#latest = report;
    const turn = turns();
    for (const [waiter, position] of this.#queue.inOrder()) {
      waiter.moveTo(position);
      await turn();
      // A later report has begun.
      if (this.#latest !== report) return;
    }
  }
}
