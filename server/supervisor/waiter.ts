/** A client that waits for a slot. */
import type { PoolError } from "../../openapi/errors.ts";
import type { Slot } from "../../openapi/schemas/resources.ts";

/**
 * The client looks at `granted`, `settled` and `onPosition`, and may leave. The slots call the
 * other methods.
 */
export class Waiter {
  readonly client: string;
  /** In milliseconds of `performance.now()`. */
  readonly requestedAt = performance.now();
  readonly #grant = Promise.withResolvers<Slot>();
  /**
   * Resolves with the slot, which is held from then on. Rejects with `queue_timeout`, `draining`,
   * or `cancelled` after {@link leave}.
   */
  readonly granted = this.#grant.promise;
  readonly #settle = Promise.withResolvers<void>();
  /**
   * Resolves when a child took the slot, when the slot returned, or when the wait ended without
   * one.
   */
  readonly settled = this.#settle.promise;
  /** Ends the wait. A slot that was granted and not taken returns. */
  leave: () => void = () => {};
  #position = 0;
  #onPosition: ((position: number) => void) | undefined;

  constructor(client: string) {
    this.client = client;
    // A client that has left does not look at the rejection.
    this.granted.catch(() => {});
  }

  /** Calls back with the position, 1 for the next to be served, at first and when it changes. */
  onPosition(callback: (position: number) => void): void {
    this.#onPosition = callback;
    if (this.#position > 0) callback(this.#position);
  }

  moveTo(position: number): void {
    if (position === this.#position) return;
    this.#position = position;
    this.#onPosition?.(position);
  }

  grant(slot: Slot): void {
    this.#grant.resolve(slot);
  }

  refuse(error: PoolError): void {
    this.#grant.reject(error);
    this.settle();
  }

  settle(): void {
    this.#settle.resolve();
  }
}
