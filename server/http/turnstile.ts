/**
 * Lets requests through a few at a time, so that thousands that arrive together do not hold the
 * event loop: between them, answers are written and other connections are served.
 */

/** 16 requests begin in one turn of the event loop: some 10 ms of work on a busy machine. */
const MAX_IN_TURN = 16;

export class Turnstile {
  readonly #waiting: (() => void)[] = [];
  /** The number of requests that have begun in this turn. */
  #begun = 0;

  /** Resolves when the request may begin. Undefined when it may at once. */
  enter(): Promise<void> | undefined {
    if (this.#begun >= MAX_IN_TURN) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#begin();
    return undefined;
  }

  #begin(): void {
    if (this.#begun === 0) setImmediate(() => this.#nextTurn());
    this.#begun += 1;
  }

  #nextTurn(): void {
    this.#begun = 0;
    for (const resolve of this.#waiting.splice(0, MAX_IN_TURN)) {
      this.#begin();
      resolve();
    }
  }
}
