/**
 * Orders the starts of processes in one member: admitted children start at once. Spare processes
 * start two at a time, while no admitted child is starting.
 */
import { availableParallelism } from "node:os";

export class StartQueue {
  /** The most spare processes that start at a time: one takes about a core. */
  readonly sparesAtOnce: number;
  #urgent = 0;
  #spares = 0;
  /** Wakes spare starts that wait. */
  #waiting: (() => void)[] = [];

  /** @param cores of the machine. Default: those that this process may use. */
  constructor(cores = availableParallelism()) {
    this.sparesAtOnce = Math.min(2, cores);
  }

  /** Runs the start of an admitted child. */
  async urgent<T>(start: () => Promise<T>): Promise<T> {
    this.#urgent += 1;
    try {
      return await start();
    } finally {
      this.#urgent -= 1;
      this.#wake();
    }
  }

  /** Runs the start of a spare process, after the spare ones before it. */
  async spare<T>(start: () => Promise<T>): Promise<T> {
    while (this.#urgent > 0 || this.#spares >= this.sparesAtOnce)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#spares += 1;
    try {
      return await start();
    } finally {
      this.#spares -= 1;
      this.#wake();
    }
  }

  #wake(): void {
    if (this.#urgent === 0) for (const wake of this.#waiting.splice(0)) wake();
  }
}
