/** Who starts a process now: admitted children at once, spare processes in between and one at a time. One for each member. */
export class StartQueue {
  #urgent = 0;
  #spare: Promise<unknown> = Promise.resolve();
  #quiet: (() => void)[] = [];

  /** Runs the start of an admitted child. */
  async urgent<T>(start: () => Promise<T>): Promise<T> {
    this.#urgent += 1;
    try {
      return await start();
    } finally {
      this.#urgent -= 1;
      if (this.#urgent === 0) for (const wake of this.#quiet.splice(0)) wake();
    }
  }

  /** Runs a start that can wait, when no admitted child is being started and after the spare ones before it. */
  spare<T>(start: () => Promise<T>): Promise<T> {
    const run = async () => {
      while (this.#urgent > 0) await new Promise<void>((resolve) => this.#quiet.push(resolve));
      return await start();
    };
    const started = this.#spare.then(run);
    this.#spare = started.catch(() => undefined);
    return started;
  }
}
