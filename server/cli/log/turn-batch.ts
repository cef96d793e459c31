/** Gathers the lines of one turn of the event loop, because each write to a pipe takes time. */

export class TurnBatch {
  readonly #take: (lines: string) => void;
  #lines = "";

  /** @param take gets the lines together, at the end of the turn or of the process. */
  constructor(take: (lines: string) => void) {
    this.#take = take;
    process.on("exit", this.#flush);
  }

  add(line: string): void {
    if (this.#lines === "") setImmediate(this.#flush);
    this.#lines += line;
  }

  #flush = (): void => {
    const lines = this.#lines;
    this.#lines = "";
    if (lines !== "") this.#take(lines);
  };
}
