/** Lets a number of tasks run at a time. The others wait for their turn, in order. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param max tasks at a time. */
  constructor(max: number) {
    this.#free = max;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

/**
 * The lookups of names in this process, 2 at a time. Each takes one of the 4 threads that files and
 * archives need as well, for as long as a name server is silent.
 */
export const LOOKUPS = new Turns(2);
