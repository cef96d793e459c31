/**
 * The callers of one process that wait for a slot of a pool, in one line, with late binding: the
 * line subscribes to the slots of several members, and each slot goes to the first caller in the
 * line. So no caller waits behind a busy member while another one idles, and thousands of callers
 * cost one stream to each member.
 */
import { PoolError } from "../../../openapi/errors.ts";
import type { SlotStream } from "./member-client.ts";
import type { Member } from "./members.ts";
import { SlotSubscription } from "./slot-subscription.ts";

/**
 * After 1 second, give or take a half, the line looks at the pool again: members join, and slots
 * come free at members where it does not wait.
 */
const LOOK_AGAIN_MS = 1_000;
/** 100 ms after all members have refused the line, as draining members do. */
const PAUSE_MS = 100;
/**
 * 5 seconds, within the wait, for a pool in which no member answers. The members may be too busy
 * to answer, or about to be back.
 */
const UNREACHABLE_MS = 5_000;
/** 1 second between two reports of positions, and 2 ms more for each caller beyond 500. */
const POSITION_INTERVAL_MS = 1_000;
const POSITION_COST_MS = 2;

export interface LinePorts {
  readonly pool: string;
  /**
   * The members to subscribe to, for so many callers.
   *
   * @param isUseful whether the line needs the member, and has no subscription there.
   * @throws {PoolError} when no member suits the callers.
   */
  choose(
    line: { readonly callers: number; readonly subscriptions: number },
    isUseful: (member: Member) => boolean,
  ): Promise<readonly Member[]>;
  /** Opens a stream of so many slots of a member, until the signal aborts. */
  open(member: Member, count: number, signal: AbortSignal): Promise<SlotStream>;
  /** Gives back a slot that no caller needs. */
  release(member: Member, slot: string): Promise<unknown>;
  /** Called when nobody waits, and no subscription is left. */
  onEmpty(): void;
}

/** A caller in the line. */
export interface WaitingCaller {
  /** The members that cannot serve the caller, by name. They do not change while it waits. */
  readonly unfit: ReadonlyMap<string, unknown>;
  /** Called with the caller's position, 1 for the next to be served: first, and when it changes. */
  readonly onPosition?: ((position: number) => void) | undefined;
}

/** A slot that waits for its caller to take it. */
export interface GrantedSlot {
  readonly member: Member;
  readonly slot: string;
  /** Ends the hold. To be called once; a slot that no child took is given back. */
  settle(isTaken: boolean): void;
}

/** An error that ends a wait. */
interface Refusal {
  readonly error: unknown;
}

interface Place {
  readonly caller: WaitingCaller;
  readonly since: number;
  position: number;
  /** Ends the wait: with a slot, with an error, or when its time is over. */
  end(outcome?: GrantedSlot | Refusal): void;
}

export class WaitingLine {
  readonly #ports: LinePorts;
  #places = new Set<Place>();
  /** Places whose room in the members' queues is not confirmed yet. */
  readonly #newcomers = new Set<Place>();
  /** The places that a member cannot serve, by its name. */
  readonly #unfit = new Map<string, number>();
  readonly #subscriptions = new Map<string, SlotSubscription>();
  #isLooking = false;
  #lookTimer: ReturnType<typeof setTimeout> | undefined;
  #positionTimer: ReturnType<typeof setTimeout> | undefined;
  #reachedAt = 0;
  #refusal: PoolError | undefined;

  constructor(ports: LinePorts) {
    this.#ports = ports;
  }

  /** Whether callers wait. */
  get isBusy(): boolean {
    return this.#places.size > 0;
  }

  /**
   * Waits at the end of the line, or `first`, for up to `ms`. Undefined when that time is over, or
   * when the signal aborts.
   *
   * @throws {PoolError} `all_members_at_capacity` when the members' queues are full;
   *   `no_members_available` when no member answers; a refusal that concerns the caller.
   */
  async next(
    caller: WaitingCaller,
    { ms, signal, first }: { ms: number; signal: AbortSignal | undefined; first: boolean },
  ): Promise<GrantedSlot | undefined> {
    let leave = () => {};
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const place: Place = {
          caller,
          since: performance.now(),
          position: 0,
          end: (outcome) => {
            this.#remove(place);
            if (outcome && "error" in outcome) reject(outcome.error);
            else resolve(outcome);
          },
        };
        leave = () => place.end();
        timer = setTimeout(leave, ms);
        signal?.addEventListener("abort", leave, { once: true });
        this.#add(place, first);
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", leave);
    }
  }

  #add(place: Place, first: boolean): void {
    if (first) this.#places = new Set([place, ...this.#places]);
    else this.#places.add(place);
    this.#newcomers.add(place);
    this.#count(place, 1);
    this.#tell(place, this.#firstPosition + (first ? 0 : this.#places.size - 1));
    this.#update();
    void this.#look();
  }

  #remove(place: Place): void {
    if (!this.#places.delete(place)) return;
    this.#newcomers.delete(place);
    this.#count(place, -1);
    this.#update();
    this.#reportPositions();
    this.#checkEmpty();
  }

  #count({ caller }: Place, by: number): void {
    for (const name of caller.unfit.keys())
      this.#unfit.set(name, (this.#unfit.get(name) ?? 0) + by);
  }

  /** The callers that a member could serve. */
  #wanted({ name }: Member): number {
    return this.#places.size - (this.#unfit.get(name) ?? 0);
  }

  #update(): void {
    for (const subscription of this.#subscriptions.values()) subscription.update();
  }

  #checkEmpty(): void {
    if (this.#places.size > 0 || this.#subscriptions.size > 0) return;
    clearTimeout(this.#lookTimer);
    clearTimeout(this.#positionTimer);
    this.#ports.onEmpty();
  }

  /** Subscribes to members, now and while callers wait. */
  async #look(): Promise<void> {
    if (this.#isLooking || !this.isBusy) return;
    this.#isLooking = true;
    clearTimeout(this.#lookTimer);
    try {
      const line = { callers: this.#places.size, subscriptions: this.#subscriptions.size };
      const isUseful = (member: Member) =>
        !this.#subscriptions.has(member.name) && this.#wanted(member) > 0;
      for (const member of await this.#ports.choose(line, isUseful)) this.#subscribe(member);
    } catch (error) {
      this.#refuseAll(error);
    }
    this.#isLooking = false;
    if (this.#subscriptions.size === 0) this.#lookSoon();
    else this.#lookIn(LOOK_AGAIN_MS * (0.5 + Math.random()));
  }

  /** Without a subscription: ends the waits that are in vain, and looks again soon. */
  #lookSoon(): void {
    this.#checkReachable();
    this.#lookIn(PAUSE_MS);
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#lookTimer);
    if (this.isBusy) this.#lookTimer = setTimeout(() => void this.#look(), ms);
  }

  #subscribe(member: Member): void {
    const subscription: SlotSubscription = new SlotSubscription({
      open: (count, signal) => this.#ports.open(member, count, signal),
      wanted: () => this.#wanted(member),
      onGrant: (slot) => this.#grant(member, slot, subscription),
      onNews: () => {
        this.#reachedAt = performance.now();
        this.#refuseExcess();
        this.#reportPositions();
      },
    });
    this.#subscriptions.set(member.name, subscription);
    void subscription.run().then(() => {
      this.#subscriptions.delete(member.name);
      if (subscription.reached) this.#reachedAt = performance.now();
      this.#refusal = subscription.refusal;
      // An older member has served one slot.
      if (subscription.reached && !subscription.refusal) void this.#look();
      else if (this.#subscriptions.size === 0) this.#lookSoon();
      this.#checkEmpty();
    });
  }

  /** Gives a slot to the first caller that the member can serve. */
  #grant(member: Member, slot: string, subscription: SlotSubscription): void {
    const settle = (isTaken: boolean) => {
      if (!isTaken) void this.#ports.release(member, slot).catch(() => {});
      subscription.settle();
    };
    for (const place of this.#places)
      if (!place.caller.unfit.has(member.name)) return place.end({ member, slot, settle });
    settle(false);
  }

  /** Refuses the last callers to come where the queues of all members are full. */
  #refuseExcess(): void {
    const all = [...this.#subscriptions.values()];
    let room = 0;
    for (const { agreed } of all) {
      if (agreed === undefined) return;
      room += agreed;
    }
    const excess = this.#places.size - room;
    if (excess > 0 && all.some(({ agreed = 0, asked }) => agreed >= asked)) return;
    const newcomers = [...this.#newcomers];
    this.#newcomers.clear();
    if (excess <= 0) return;
    for (const place of newcomers.slice(-excess))
      place.end({ error: atCapacity(this.#ports.pool) });
  }

  /** Ends the waits where every member has refused, or none has answered for too long. */
  #checkReachable(): void {
    const { pool } = this.#ports;
    const refusal = this.#refusal;
    this.#refusal = undefined;
    if (refusal && refusal.code !== "draining")
      this.#refuseAll(refusal.code === "at_capacity" ? atCapacity(pool, refusal) : refusal);
    const now = performance.now();
    for (const place of this.#places)
      if (place.since > this.#reachedAt && now - place.since > UNREACHABLE_MS)
        place.end({
          error: PoolError.of("no_members_available", `pool ${pool}: none of its members answers`),
        });
  }

  #refuseAll(error: unknown): void {
    for (const place of this.#places) place.end({ error });
  }

  get #firstPosition(): number {
    return Math.min(...[...this.#subscriptions.values()].map(({ position }) => position));
  }

  #tell(place: Place, position: number): void {
    if (position === place.position || position === Number.POSITIVE_INFINITY) return;
    place.position = position;
    place.caller.onPosition?.(position);
  }

  /** Reports the positions soon, once for all changes until then; the first ones at once. */
  #reportPositions(): void {
    if (this.#positionTimer || !this.isBusy) return;
    let position = this.#firstPosition;
    if (position === Number.POSITIVE_INFINITY) return;
    for (const place of this.#places) this.#tell(place, position++);
    const ms = Math.max(POSITION_INTERVAL_MS, POSITION_COST_MS * this.#places.size);
    this.#positionTimer = setTimeout(() => {
      this.#positionTimer = undefined;
      this.#reportPositions();
    }, ms);
  }
}

function atCapacity(pool: string, cause?: PoolError): PoolError {
  const detail = `pool ${pool}: its members are at capacity, and so are their queues`;
  return PoolError.of("all_members_at_capacity", detail, { cause });
}
