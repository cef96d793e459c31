/** Requests in flight, so that a member that drains cuts off no caller. */
import { setTimeout as pause } from "node:timers/promises";
import { PoolError } from "../../openapi/errors.ts";
import { type Outgoing, onOver } from "./response.ts";

export class InFlight {
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Each resolves once its answer has been sent or cut off. */
  readonly #answers = new Set<Promise<unknown>>();
  readonly #handover = new AbortController();
  readonly #end = new AbortController();
  /**
   * Aborts when this member hands its streams of other members' children over, and places no more
   * calls. The reason is the problem for callers whose calls were not admitted.
   */
  readonly handover: AbortSignal = this.#handover.signal;
  /** Aborts when the drain is over: streams that had to stay until then end too. */
  readonly end: AbortSignal = this.#end.signal;

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
    const over = new Promise((resolve) => onOver(outgoing, resolve));
    this.#answers.add(over);
    void over.then(() => this.#answers.delete(over));
  }

  /** Resolves when no answer is under way. */
  async none(): Promise<void> {
    while (this.#answers.size > 0) await Promise.all(this.#answers);
  }

  /** Hands over. Idempotent. */
  handOver(): void {
    const detail = "the member drains, and places no more calls; ask another one";
    this.#handover.abort(PoolError.of("draining", detail, { admitted: false }));
  }

  /** Hands everything over. */
  endAll(): void {
    this.handOver();
    this.#end.abort();
  }
}
