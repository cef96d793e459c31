/** What is under way and what came last, so that a member that leaves cuts nobody off. */
import { isOver, type Outgoing, onOver } from "./response.ts";

export class InFlight {
  #lastMs = Number.NEGATIVE_INFINITY;
  readonly #under = new Set<Outgoing>();
  #waiting: (() => void)[] = [];

  /** Notes that a request has come. */
  touch(): void {
    this.#lastMs = performance.now();
  }

  /** Resolves when none has come for so long. */
  async quiet(ms: number): Promise<void> {
    for (let left = 1; left > 0; ) {
      left = this.#lastMs + ms - performance.now();
      if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    }
  }

  /** Counts an answer until it has been sent, or was cut. */
  add(outgoing: Outgoing): void {
    if (isOver(outgoing)) return;
    this.#under.add(outgoing);
    onOver(outgoing, () => {
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
