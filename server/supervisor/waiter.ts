/** A caller in the queue for a slot. */
import type { PoolError } from "../../openapi/errors.ts";
import type { Slot } from "../../openapi/resources.ts";

export interface Waiter {
  /** Resolves with the slot, which is held from then on. Rejects with `queue_timeout`, `draining`, or `cancelled` after {@link leave}. */
  readonly granted: Promise<Slot>;
  /** Resolves when a child took the slot, when the slot returned, or when the wait ended without one. */
  readonly settled: Promise<void>;
  /** Calls back with the position, 1 for the next to be served, at first and when it changes. */
  onPosition(callback: (position: number) => void): void;
  /** Ends the wait. A slot that was granted and not taken returns. */
  leave(): void;
}

/** The same caller, as the slots see it. */
export class QueuedWaiter implements Waiter {
  readonly client: string;
  readonly requestedAt = performance.now();
  readonly #grant = Promise.withResolvers<Slot>();
  readonly #settle = Promise.withResolvers<void>();
  leave: () => void = () => {};
  #position = 0;
  #onPosition: ((position: number) => void) | undefined;

  constructor(client: string) {
    this.client = client;
    // A caller that has left may not look at the rejection.
    this.granted.catch(() => {});
  }

  get granted(): Promise<Slot> {
    return this.#grant.promise;
  }

  get settled(): Promise<void> {
    return this.#settle.promise;
  }

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
