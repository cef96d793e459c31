/** Answers that are under way, so that a member that leaves can wait for them. */
import type { ServerResponse } from "node:http";

export class Pending {
  readonly #under = new Set<ServerResponse>();
  #waiting: (() => void)[] = [];

  /** Counts an answer until it has been sent, or was cut. */
  add(outgoing: ServerResponse): void {
    if (outgoing.closed) return;
    this.#under.add(outgoing);
    outgoing.once("close", () => {
      this.#under.delete(outgoing);
      if (this.#under.size > 0) return;
      for (const wake of this.#waiting) wake();
      this.#waiting = [];
    });
  }

  /** Resolves when none is under way. */
  async none(): Promise<void> {
    while (this.#under.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
