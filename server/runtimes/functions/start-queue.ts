/**
 * Orders the starts of processes in one member: admitted children start at once. Spare processes
 * start one at a time, while no admitted child is starting.
 */
export class StartQueue {
  #urgent = 0;
  #spare: Promise<unknown> = Promise.resolve();
  /** Wakes spare starts that wait until no urgent one runs. */
  #waiting: (() => void)[] = [];

  /** Runs the start of an admitted child. */
  async urgent<T>(start: () => Promise<T>): Promise<T> {
    this.#urgent += 1;
    try {
      return await start();
    } finally {
      this.#urgent -= 1;
      if (this.#urgent === 0) for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** Runs the start of a spare process, after the spare ones before it. */
  spare<T>(start: () => Promise<T>): Promise<T> {
    const run = async () => {
      while (this.#urgent > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      return await start();
    };
    const started = this.#spare.then(run);
    this.#spare = started.catch(() => undefined);
    return started;
  }
}
