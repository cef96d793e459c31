/**
 * The slots of one pool on one member: free, granted to a client for a moment, or taken by a child.
 * Only this class counts them. Clients that find none free may wait in a bounded queue.
 */
import { type Load, PoolError } from "../../../openapi/errors.ts";
import { randomDigits } from "../../../openapi/names.ts";
import { Positions } from "./positions.ts";
import { Queue } from "./queue.ts";
import { drainingAt, fullOf, ownOf } from "./refusals.ts";
import { PoolShares, type SlotsOptions } from "./shares.ts";
import { Subscription, Waiter } from "./waiter.ts";

/** 5 s: how long a granted slot waits for its claim, one request on an open connection. */
export const HOLD_MS = 5_000;
/** 100 waits of others, at most, that one request for more slots ends. */
const MAX_DROPS = 100;

/** A slot that a child has taken. */
export interface SlotLease {
  /** When its client asked for it: a time of `performance.now()`. */
  readonly requestedAt: number;
  /** Gives the slot back. Idempotent. */
  free(): void;
}

export class Slots {
  #options: SlotsOptions;
  readonly #queue = new Queue<Waiter | Subscription>();
  readonly #positions = new Positions(this.#queue);
  readonly #granted = new Map<string, Waiter>();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #shares: PoolShares;
  #taken = 0;
  #draining = false;

  constructor(options: SlotsOptions) {
    this.#options = options;
    this.#shares = new PoolShares(options);
  }

  /** The load of the pool here. Its `max` is 0 during a drain. */
  load(): Load {
    return {
      active: this.#taken + this.#granted.size,
      max: this.#draining ? 0 : this.#options.max,
      queued: this.#queue.size,
    };
  }

  /** When the first of the waiting clients asked, a time of `performance.now()`. */
  oldestMs(): number | undefined {
    return this.#queue.least(({ requestedAt }) => requestedAt);
  }

  /** Takes a free slot. @throws {PoolError} `at_capacity`, `too_many_requests`, `draining`. */
  take(client: string): SlotLease {
    this.checkAdmitting();
    const refusal = this.#shares.refusalOf(client);
    if (refusal) throw refusal;
    if (!this.#isFree) throw fullOf(this.#options, this.load());
    return this.#lease(client, performance.now());
  }

  /**
   * Takes the slot that was granted to this client, which waited elsewhere for `waitedMs`.
   *
   * @throws {PoolError} `slot_not_found` when the slot was taken, given back or timed out;
   *   `forbidden` when it is another client's; `draining`.
   */
  claim(id: string, client: string, waitedMs = 0): SlotLease {
    this.checkAdmitting();
    const { requestedAt } = ownOf(this.#granted, id, client);
    // The lease comes first: nobody else gets the slot, or the client's share, in between.
    const lease = this.#lease(client, Math.min(requestedAt, performance.now() - waitedMs));
    this.#return(id);
    return lease;
  }

  /** Whether a client has this slot, or this subscription. */
  holds(id: string): boolean {
    return this.#granted.has(id) || this.#subscriptions.has(id);
  }

  /** Gives a granted slot back. @throws {PoolError} as {@link claim}. */
  release(id: string, client: string): void {
    ownOf(this.#granted, id, client);
    this.#return(id);
    this.serve();
  }

  /**
   * Asks for a slot, which is granted at once where one is free. A client that has used up its
   * quota waits for its own children, and lets others pass.
   *
   * @param waitMs milliseconds until the wait ends with `queue_timeout`; 0 to be refused at once.
   * @throws {PoolError} `at_capacity` with the load when no slot is free and `waitMs` is 0 or the
   *   queue is full; `too_many_requests` (a quota) when `waitMs` is 0; `draining`.
   */
  request(client: string, waitMs: number): Waiter {
    return this.#enter(new Waiter(client), waitMs);
  }

  /** Asks for up to `count` slots, one after the other. @throws {PoolError} as {@link request}. */
  subscribe(client: string, count: number, waitMs: number): Subscription {
    const subscription = this.#enter(new Subscription(this.#options.member, client), waitMs);
    this.#subscriptions.set(subscription.id, subscription);
    void subscription.settled.then(() => this.#subscriptions.delete(subscription.id));
    this.resubscribe(subscription.id, client, subscription.count + count - 1);
    return subscription;
  }

  /** Changes the number of slots to wait for. @throws {PoolError} as {@link claim}. */
  resubscribe(id: string, client: string, count: number): number {
    const subscription = ownOf(this.#subscriptions, id, client);
    const { active, max, queued } = this.load();
    const room = Math.max(0, max - active) + Math.max(0, this.#options.maxQueue - queued);
    this.#queue.change(client, subscription, Math.min(count, subscription.count + room));
    for (let drops = 0; subscription.count < count && drops < MAX_DROPS; drops++) {
      if (!this.#drop(client)) break;
      this.#queue.change(client, subscription, subscription.count + 1);
    }
    const agreed = subscription.count;
    this.serve();
    subscription.moveTo(this.#queue.positionOf(client, subscription));
    return agreed;
  }

  /**
   * Sets how many children may run, and how many clients may wait, at a time. Ends a drain. Running
   * children and waiting clients stay, even where they are too many.
   */
  resize(max: number, maxQueue = this.#options.maxQueue): void {
    this.#draining = false;
    this.#options = { ...this.#options, max, maxQueue };
    this.serve();
  }

  /** Grants no more slots. Refuses waiting clients, and takes back granted slots. */
  drain(): void {
    this.#draining = true;
    this.refuseAll(drainingAt(this.#options.member));
  }

  /** Refuses waiting clients, and takes back granted slots. */
  refuseAll(error: PoolError): void {
    for (const one of [...this.#queue.clear(), ...this.#subscriptions.values()]) one.refuse(error);
    for (const id of [...this.#granted.keys()]) this.#return(id);
    this.#positions.close();
  }

  /** Queues a waiter, and serves it at once where a slot is free. */
  #enter<T extends Waiter | Subscription>(waiter: T, waitMs: number): T {
    this.checkAdmitting();
    const { pool, member } = this.#options;
    const { client } = waiter;
    const refusal = this.#shares.refusalOf(client);
    if (waitMs === 0 && refusal) throw refusal;
    if (refusal || !this.#isFree) this.#makeRoom(client, waitMs);
    this.#queue.push(client, waiter);
    const endWait = (error: PoolError) => {
      if (!this.#queue.remove(client, waiter) && waiter instanceof Waiter) return;
      waiter.refuse(error);
      this.#positions.changed();
    };
    const timeout = `no slot of pool ${pool} came free on member ${member} in ${waitMs} ms`;
    const timer = setTimeout(() => endWait(PoolError.of("queue_timeout", timeout)), waitMs);
    void waiter.settled.then(() => clearTimeout(timer));
    waiter.leave = () => endWait(PoolError.of("cancelled", "the caller waits no longer"));
    this.serve();
    // The new waiter hears its position at once. The positions of the others are unchanged.
    waiter.moveTo(this.#queue.positionOf(client, waiter));
    return waiter;
  }

  /** Whether a slot is free. Then no client waits but those that have used up their quotas. */
  get #isFree(): boolean {
    return this.#taken + this.#granted.size < this.#options.max;
  }

  #makeRoom(client: string, waitMs: number): void {
    if (waitMs > 0 && this.#queue.size < this.#options.maxQueue) return;
    if (waitMs === 0 || !this.#drop(client)) throw fullOf(this.#options, this.load());
  }

  /** In a full queue, the client that waits most often gives up its last wait for another one. */
  #drop(client: string): boolean {
    const dropped = this.#queue.dropFor(client);
    if (dropped?.count === 0) dropped.refuse(fullOf(this.#options, this.load()));
    else dropped?.moveTo(this.#queue.positionOf(dropped.client, dropped));
    return dropped !== undefined;
  }

  #lease(client: string, requestedAt: number): SlotLease {
    this.#taken += 1;
    this.#shares.take(client);
    let freed = false;
    return {
      requestedAt,
      free: () => {
        if (freed) return;
        freed = true;
        this.#taken -= 1;
        this.#shares.free(client);
        this.serve();
      },
    };
  }

  /** Grants the free slots to the next waiters that have not used up their quotas. */
  serve(): void {
    while (this.#isFree) {
      const waiter = this.#queue.shift((client) => !this.#shares.refusalOf(client))?.next();
      if (!waiter) return;
      const { pool, member } = this.#options;
      const id = `${member}.${randomDigits()}`;
      const giveBack = () => {
        if (this.#return(id)) this.serve();
      };
      this.#granted.set(id, waiter);
      this.#shares.take(waiter.client);
      const timer = setTimeout(giveBack, HOLD_MS);
      void waiter.settled.then(() => clearTimeout(timer));
      waiter.leave = giveBack;
      waiter.grant({ id, pool, member, heldUntil: new Date(Date.now() + HOLD_MS).toISOString() });
      this.#positions.changed();
    }
  }

  #return(id: string): boolean {
    const waiter = this.#granted.get(id);
    if (!waiter) return false;
    this.#granted.delete(id);
    waiter.settle();
    this.#shares.free(waiter.client);
    return true;
  }

  /** @throws {PoolError} `draining`. */
  checkAdmitting(): void {
    if (this.#draining) throw drainingAt(this.#options.member);
  }
}
