/** Requests in flight, so that a member that drains cuts off no caller. */
import { setTimeout as pause } from "node:timers/promises";
import { isOver, type Outgoing, onOver } from "./response.ts";

export class InFlight {
  #lastMs = Number.NEGATIVE_INFINITY;
  readonly #answers = new Set<Outgoing>();
  #waiting: (() => void)[] = [];

  /** Notes that a request has come. */
  touch(): void {
    this.#lastMs = performance.now();
  }

  /** Resolves when no request has come for `ms` milliseconds. */
  async quiet(ms: number): Promise<void> {
    for (;;) {
      const remainingMs = this.#lastMs + ms - performance.now();
      if (remainingMs <= 0) return;
      await pause(remainingMs);
    }
  }

  /** Counts an answer until it has been sent or cut off. */
  add(outgoing: Outgoing): void {
    if (isOver(outgoing)) return;
    this.#answers.add(outgoing);
    onOver(outgoing, () => {
      this.#answers.delete(outgoing);
      if (this.#answers.size > 0) return;
      for (const wake of this.#waiting) wake();
      this.#waiting = [];
    });
  }

  /** Resolves when no answer is under way. */
  async none(): Promise<void> {
    while (this.#answers.size > 0)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
