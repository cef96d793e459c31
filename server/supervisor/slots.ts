/**
 * The slots of one pool on one member. A slot is free, held for a moment by a client that was granted it, or taken by a child; whoever
 * finds none may wait in a bounded queue. Nothing else counts children, so nothing else can admit one too many.
 */
import { randomBytes } from "node:crypto";
import type { Load } from "../../openapi/errors.ts";
import { PoolError } from "../../openapi/errors.ts";
import type { Slot } from "../../openapi/resources.ts";
import { Queue } from "./queue.ts";

export interface SlotsOptions {
  readonly pool: string;
  readonly member: string;
  /** Children at a time. */
  readonly max: number;
  /** Clients that may wait at a time. */
  readonly maxQueue: number;
}

/** A granted slot that no child takes for so long returns: a claim is one request on a connection that is there. */
export const HOLD_MS = 5_000;
/** Waiters hear of a new position at most this often; a grant is told at once. */
const POSITIONS_MS = 1_000;

/** A place that a child has. Giving it back twice gives it back once. */
export interface SlotLease {
  /** When its client asked for it, in milliseconds of `performance.now()`. */
  readonly requestedAt: number;
  free(): void;
}

interface HeldSlot {
  readonly client: string;
  readonly requestedAt: number;
  readonly timer: NodeJS.Timeout;
  /** Tells the waiter that the slot is no longer held for it. */
  readonly over: () => void;
}

/** One that waits for a slot. */
export interface Waiter {
  /** Resolves with the slot, held from then on. Rejects with `queue_timeout`, `draining`, or `cancelled` after {@link leave}. */
  readonly granted: Promise<Slot>;
  /** Resolves when the slot was taken by a child, has returned, or never came. */
  readonly over: Promise<void>;
  /** Is told the position, 1 for the next to be served, at first and when it changes. */
  onPosition(tell: (position: number) => void): void;
  /** Waits no longer; a slot that was granted meanwhile and not taken returns. */
  leave(): void;
}

class Waiting implements Waiter {
  readonly client: string;
  readonly requestedAt = performance.now();
  readonly granted: Promise<Slot>;
  readonly over: Promise<void>;
  grant: (slot: Slot) => void = () => {};
  refuse: (error: PoolError) => void = () => {};
  end: () => void = () => {};
  leave: () => void = () => {};
  #position = 0;
  #tell: ((position: number) => void) | undefined;

  constructor(client: string) {
    this.client = client;
    this.granted = new Promise((resolve, reject) => {
      this.grant = resolve;
      this.refuse = reject;
    });
    // Nobody may be looking when it is refused.
    this.granted.catch(() => {});
    this.over = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  onPosition(tell: (position: number) => void): void {
    this.#tell = tell;
    if (this.#position > 0) tell(this.#position);
  }

  moved(position: number): void {
    if (position === this.#position) return;
    this.#position = position;
    this.#tell?.(position);
  }
}

export class Slots {
  readonly #options: SlotsOptions;
  readonly #queue = new Queue<Waiting>();
  readonly #held = new Map<string, HeldSlot>();
  #max: number;
  #maxQueue: number;
  #taken = 0;
  #draining = false;
  #positions: NodeJS.Timeout | undefined;

  constructor(options: SlotsOptions) {
    this.#options = options;
    this.#max = options.max;
    this.#maxQueue = options.maxQueue;
  }

  /** While it drains, there are no slots to be had. */
  load(): Load {
    return {
      active: this.#taken + this.#held.size,
      max: this.#draining ? 0 : this.#max,
      queued: this.#queue.size,
    };
  }

  /**
   * Takes a free slot, which those that wait have first.
   *
   * @throws {PoolError} `at_capacity` with the load, `draining`.
   */
  take(): SlotLease {
    this.#checkAdmitting();
    if (!this.#isFree) throw this.#full();
    return this.#place(performance.now());
  }

  /**
   * Takes the slot that was granted to this client.
   *
   * @throws {PoolError} `slot_not_found` when it is not held, or not any more; `forbidden` when it is another client's; `draining`.
   */
  claim(id: string, client: string): SlotLease {
    this.#checkAdmitting();
    const { requestedAt } = this.#heldBy(id, client);
    this.#return(id);
    return this.#place(requestedAt);
  }

  /** Whether a client holds this slot. */
  holds(id: string): boolean {
    return this.#held.has(id);
  }

  /** Gives a held slot back. @throws {PoolError} as {@link claim}. */
  release(id: string, client: string): void {
    this.#heldBy(id, client);
    this.#return(id);
    this.#serve();
  }

  /**
   * Asks for a slot, which is granted at once where one is free.
   *
   * @param waitMs milliseconds until the wait ends with `queue_timeout`; 0 to be refused at once.
   * @throws {PoolError} `at_capacity` with the load when none is free and there is no waiting, or the queue is full; `draining`.
   */
  request(client: string, waitMs: number): Waiter {
    this.#checkAdmitting();
    if (!this.#isFree && (waitMs === 0 || this.#queue.size >= this.#maxQueue)) throw this.#full();
    const waiter = new Waiting(client);
    this.#queue.push(client, waiter);
    const ended = (error: PoolError) => {
      if (!this.#queue.remove(client, waiter)) return;
      this.#refuse(waiter, error);
      this.#tellPositions();
    };
    const timer = setTimeout(
      () =>
        ended(
          PoolError.of(
            "queue_timeout",
            `no slot of pool ${this.#options.pool} came free on member ${this.#options.member} in ${waitMs} ms`,
          ),
        ),
      waitMs,
    );
    void waiter.over.then(() => clearTimeout(timer));
    waiter.leave = () => ended(PoolError.of("cancelled", "the caller waits no longer"));
    this.#serve();
    // One that still waits hears its position; the others keep theirs.
    if (this.#queue.size > 0) this.#positionOf(waiter);
    return waiter;
  }

  /** Sets how many children there may be, and callers may wait, at a time. Nobody is ended or sent away; those that wait are served where there is more room. Ends a drain. */
  resize(max: number, maxQueue = this.#maxQueue): void {
    this.#draining = false;
    this.#max = max;
    this.#maxQueue = maxQueue;
    this.#serve();
  }

  /** Grants nothing any more; those that wait, or hold a slot, are sent elsewhere. */
  drain(): void {
    this.#draining = true;
    for (let waiter = this.#queue.shift(); waiter; waiter = this.#queue.shift())
      this.#refuse(waiter, this.#drainingError());
    for (const id of [...this.#held.keys()]) this.#return(id);
    clearTimeout(this.#positions);
  }

  /** While anybody waits, there is none: each that comes free is granted at once. */
  get #isFree(): boolean {
    return this.#taken + this.#held.size < this.#max;
  }

  #place(requestedAt: number): SlotLease {
    this.#taken += 1;
    let freed = false;
    return {
      requestedAt,
      free: () => {
        if (freed) return;
        freed = true;
        this.#taken -= 1;
        this.#serve();
      },
    };
  }

  /** Grants what is free to those that are next. */
  #serve(): void {
    while (this.#taken + this.#held.size < this.#max) {
      const waiter = this.#queue.shift();
      if (!waiter) return;
      const { pool, member } = this.#options;
      const id = `${member}.${randomBytes(16).toString("hex")}`;
      const giveBack = () => {
        if (!this.#held.has(id)) return;
        this.#return(id);
        this.#serve();
      };
      const { client, requestedAt, end } = waiter;
      this.#held.set(id, { client, requestedAt, timer: setTimeout(giveBack, HOLD_MS), over: end });
      waiter.leave = giveBack;
      waiter.grant({ id, pool, member, heldUntil: new Date(Date.now() + HOLD_MS).toISOString() });
      this.#tellPositions();
    }
  }

  #heldBy(id: string, client: string): HeldSlot {
    const held = this.#held.get(id);
    if (!held)
      throw PoolError.of(
        "slot_not_found",
        `member ${this.#options.member} holds no slot ${id}: it was taken, given back, or its time is over`,
      );
    if (held.client !== client)
      throw PoolError.of("forbidden", `slot ${id} was granted to another caller`);
    return held;
  }

  #return(id: string): void {
    const held = this.#held.get(id);
    this.#held.delete(id);
    clearTimeout(held?.timer);
    held?.over();
  }

  #refuse(waiter: Waiting, error: PoolError): void {
    waiter.refuse(error);
    waiter.end();
  }

  #positionOf(waiter: Waiting): void {
    let position = 0;
    for (const each of this.#queue.inOrder()) {
      position += 1;
      if (each === waiter) waiter.moved(position);
    }
  }

  /** Soon, once for all that has changed by then. */
  #tellPositions(): void {
    if (this.#positions || this.#queue.size === 0) return;
    this.#positions = setTimeout(() => {
      this.#positions = undefined;
      let position = 0;
      for (const waiter of this.#queue.inOrder()) waiter.moved(++position);
    }, POSITIONS_MS);
  }

  #checkAdmitting(): void {
    if (this.#draining) throw this.#drainingError();
  }

  #drainingError(): PoolError {
    return PoolError.of("draining", `member ${this.#options.member} admits no more children`);
  }

  #full(): PoolError {
    const { member, pool } = this.#options;
    const load = this.load();
    const waiting = load.queued > 0 ? `, and ${load.queued} callers wait` : "";
    return PoolError.of(
      "at_capacity",
      `member ${member} runs ${load.active} of at most ${load.max} children of pool ${pool}${waiting}`,
      { load },
    );
  }
}
