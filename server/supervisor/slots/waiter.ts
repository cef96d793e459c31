/** Clients that wait: for one slot, or for several, one after the other. */
import type { PoolError } from "../../../openapi/errors.ts";
import type { SlotEvent } from "../../../openapi/events.ts";
import { randomDigits } from "../../../openapi/names.ts";
import type { Slot } from "../../../openapi/schemas/resources.ts";
import type { Entry } from "./queue.ts";

/**
 * A client that waits for one slot. The client looks at `granted`, `settled` and `onPosition`, and
 * may leave. The slots call the other methods.
 */
export class Waiter implements Entry {
  count = 1;
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
  readonly #onGrant: ((slot: Slot) => void) | undefined;

  constructor(client: string, onGrant?: (slot: Slot) => void) {
    this.client = client;
    this.#onGrant = onGrant;
    // A client that has left does not look at the rejection.
    this.granted.catch(() => {});
  }

  /** Calls back with the position, 1 for the next to be served, at first and when it changes. */
  onPosition(callback: (position: number) => void): void {
    this.#onPosition = callback;
    if (this.#position > 0) callback(this.#position);
  }

  /** The waiter that gets the next slot. */
  next(): Waiter {
    return this;
  }

  moveTo(position: number): void {
    if (position === this.#position) return;
    this.#position = position;
    this.#onPosition?.(position);
  }

  grant(slot: Slot): void {
    this.#grant.resolve(slot);
    this.#onGrant?.(slot);
  }

  refuse(error: PoolError): void {
    this.#grant.reject(error);
    this.settle();
  }

  settle(): void {
    this.#settle.resolve();
  }
}

/**
 * A client that waits for as many slots as it counts. It reads `events`, and may close. Whatever
 * the number, it takes the memory of one waiter, and of the slots that it holds.
 */
export class Subscription implements Entry {
  count = 1;
  readonly id: string;
  readonly client: string;
  /** In milliseconds of `performance.now()`. */
  readonly requestedAt = performance.now();
  /** Ends the wait, but for the slots that were granted. */
  leave: () => void = () => {};
  readonly #settle = Promise.withResolvers<void>();
  /** Resolves when the wait has ended. */
  readonly settled = this.#settle.promise;
  readonly #held = new Set<Waiter>();
  #pending: SlotEvent[] = [];
  #wake: () => void = () => {};
  #end: PoolError | undefined;

  constructor(member: string, client: string) {
    this.id = `${member}.${randomDigits()}`;
    this.client = client;
  }

  /** The waiter that gets the next slot. */
  next(): Waiter {
    const waiter = new Waiter(this.client, (slot) => this.#tell({ type: "granted", slot }));
    this.#held.add(waiter);
    void waiter.settled.then(() => this.#held.delete(waiter));
    return waiter;
  }

  /** Tells the position of its next slot. A client that reads slowly gets the latest only. */
  moveTo(position: number): void {
    if (this.#pending.at(-1)?.type === "queued") this.#pending.pop();
    this.#tell({ type: "queued", position: Math.max(1, position), count: this.count });
  }

  /** Ends the wait. Slots that were granted stay granted. */
  refuse(error: PoolError): void {
    this.#end = error;
    this.#settle.resolve();
    this.#wake();
  }

  /** Ends the wait, and gives back the slots that were granted and not taken. */
  close(): void {
    this.leave();
    for (const waiter of this.#held) waiter.leave();
  }

  /** Positions and slots. @throws {PoolError} the reason why the wait has ended. */
  async *events(): AsyncGenerator<SlotEvent, void, undefined> {
    for (;;) {
      const events = this.#pending;
      this.#pending = [];
      yield* events;
      if (this.#pending.length > 0) continue;
      if (this.#end) throw this.#end;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #tell(event: SlotEvent): void {
    this.#pending.push(event);
    this.#wake();
  }
}
