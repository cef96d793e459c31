/**
 * The callers of one process that wait for a slot of a pool, in one line, with late binding: the
 * line subscribes to the slots of several members, and each slot goes to the first caller in it. No
 * caller waits behind a busy member while another one idles.
 */
import { PoolError } from "../../../../openapi/errors.ts";
import type { SlotStream } from "../member-client.ts";
import type { Member } from "../members.ts";
import { atCapacity, type GrantedSlot, type Place, Places, type WaitingCaller } from "./places.ts";
import { SlotSubscription } from "./subscription.ts";

/** 50 callers at a time try members before they join the line. */
const MAX_TRYING = 50;
/**
 * After 1 s, give or take a half, the line looks at the pool again: members join, and slots
 * come free at members where it does not wait.
 */
const LOOK_AGAIN_MS = 1_000;
/** 100 ms after all members have refused the line, as draining members do. */
const PAUSE_MS = 100;
/** 5 seconds, within the wait, for a pool in which no member answers: they may be back by then. */
const UNREACHABLE_MS = 5_000;
/** 1 second between two reports of positions; 2 ms for each caller where that is more. */
const POSITION_INTERVAL_MS = 1_000;
const POSITION_COST_MS = 2;

/** Refusals of a member that may admit again, or whose callers others admit. */
const FOR_NOW = new Set(["draining", "fenced", "overloaded"]);

export interface LinePorts {
  readonly pool: string;
  /**
   * More members to subscribe to, for a line of so many callers and subscriptions.
   *
   * @param isUseful whether the line needs the member, and has no subscription there. Called for
   *   each member that may admit: the line leaves the others.
   */
  choose(
    callers: number,
    subscriptions: number,
    isUseful: (member: Member) => boolean,
  ): Promise<readonly Member[]>;
  /** Opens a stream of so many slots of a member, until the signal aborts. */
  open(member: Member, count: number, signal: AbortSignal): Promise<SlotStream>;
  /** Gives back a slot that no caller needs. */
  release(member: Member, slot: string): Promise<unknown>;
  /** Called when the line is of no more use. */
  onEmpty(): void;
}

export class WaitingLine {
  readonly #ports: LinePorts;
  readonly #places = new Places();
  readonly #subscriptions = new Map<string, SlotSubscription>();
  #trying = 0;
  #isLooking = false;
  #lookTimer: ReturnType<typeof setTimeout> | undefined;
  #positionTimer: ReturnType<typeof setTimeout> | undefined;
  /** When a member last answered, in milliseconds of `performance.now()`. */
  #reachedAt = 0;

  constructor(ports: LinePorts) {
    this.#ports = ports;
  }

  /** Whether a caller may try members first. No caller overtakes those that wait. */
  get isOpen(): boolean {
    return !this.#isBusy && this.#trying < MAX_TRYING;
  }

  /** Runs a caller's try to do without the line. */
  async bypass<T>(tryNow: () => Promise<T>): Promise<T> {
    this.#trying += 1;
    try {
      return await tryNow();
    } finally {
      this.#trying -= 1;
      this.#checkEmpty();
    }
  }

  /**
   * Waits at the end of the line, or at its front, for up to `ms`. Undefined when that time is
   * over, or when the signal aborts.
   *
   * @throws {PoolError} `all_members_at_capacity` when the members' queues are full;
   *   `no_members_available` when no member answers; a refusal that concerns the caller.
   */
  async next(
    caller: WaitingCaller,
    { ms, signal, isFirst }: { ms: number; signal: AbortSignal | undefined; isFirst: boolean },
  ): Promise<GrantedSlot | undefined> {
    let leave = () => {};
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const place: Place = {
          caller,
          since: performance.now(),
          end: (outcome) => {
            this.#remove(place);
            if (outcome && "error" in outcome) reject(outcome.error);
            else resolve(outcome);
          },
        };
        leave = () => place.end();
        timer = setTimeout(leave, ms);
        signal?.addEventListener("abort", leave, { once: true });
        this.#places.add(place, isFirst);
        if (isFirst) this.#reportPositions();
        else this.#places.tellLast(place, this.#firstPosition);
        this.#update();
        void this.#look();
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", leave);
    }
  }

  get #isBusy(): boolean {
    return this.#places.size > 0;
  }

  #remove(place: Place): void {
    if (!this.#places.remove(place)) return;
    this.#update();
    this.#reportPositions();
    this.#checkEmpty();
  }

  #update(): void {
    for (const subscription of this.#subscriptions.values()) subscription.update();
  }

  #checkEmpty(): void {
    if (this.#isBusy || this.#trying + this.#subscriptions.size > 0) return;
    clearTimeout(this.#lookTimer);
    clearTimeout(this.#positionTimer);
    this.#ports.onEmpty();
  }

  /** Subscribes to members, now and while callers wait. */
  async #look(): Promise<void> {
    if (this.#isLooking || !this.#isBusy) return;
    this.#isLooking = true;
    const listed = new Set<string>();
    const isUseful = (member: Member) => {
      listed.add(member.name);
      return !this.#subscriptions.has(member.name) && this.#places.servedBy(member) > 0;
    };
    const { size } = this.#subscriptions;
    try {
      const chosen = await this.#ports.choose(this.#places.size, size, isUseful);
      for (const [name, each] of this.#subscriptions) if (!listed.has(name)) each.close();
      for (const member of chosen) this.#subscribe(member);
    } catch (error) {
      this.#places.endEach(() => error);
    }
    this.#isLooking = false;
    this.#lookLater();
  }

  /** @param refusal of the last subscription that has ended. */
  #lookLater(refusal?: PoolError): void {
    const isVain = this.#subscriptions.size === 0;
    if (isVain) this.#endInVain(refusal);
    clearTimeout(this.#lookTimer);
    const ms = isVain ? PAUSE_MS : LOOK_AGAIN_MS * (0.5 + Math.random());
    if (this.#isBusy) this.#lookTimer = setTimeout(() => void this.#look(), ms);
  }

  #subscribe(member: Member): void {
    const subscription: SlotSubscription = new SlotSubscription({
      open: (count, signal) => this.#ports.open(member, count, signal),
      wanted: () => this.#places.servedBy(member),
      onGrant: (slot) => this.#grant(member, slot, subscription),
      onNews: () => {
        this.#reachedAt = performance.now();
        this.#admitNewcomers();
        this.#reportPositions();
      },
    });
    this.#subscriptions.set(member.name, subscription);
    void subscription.run().then(() => {
      this.#subscriptions.delete(member.name);
      if (subscription.reached) this.#reachedAt = performance.now();
      // An older member has served one slot, and may serve the next.
      if (subscription.reached && !subscription.refusal) void this.#look();
      else this.#lookLater(subscription.refusal);
      this.#checkEmpty();
    });
  }

  /** Gives a slot to the first caller that the member can serve. */
  #grant(member: Member, slot: string, subscription: SlotSubscription): void {
    const settle = (isTaken: boolean) => {
      if (!isTaken) void this.#ports.release(member, slot).catch(() => {});
      subscription.settle();
    };
    const place = this.#places.firstFor(member);
    if (place) place.end({ member, slot, settle });
    else settle(false);
  }

  /** Refuses the last callers to come where the queues of all members are full. */
  #admitNewcomers(): void {
    let room = 0;
    let isFull = true;
    for (const { agreed, asked } of this.#subscriptions.values()) {
      if (agreed === undefined) return;
      room += agreed;
      isFull &&= agreed < asked;
    }
    const excess = this.#places.size - room;
    if (excess <= 0 || isFull)
      this.#places.admitNewcomers(excess, () => atCapacity(this.#ports.pool));
  }

  /** Ends the waits where every member has refused, or none has answered for too long. */
  #endInVain(refusal: PoolError | undefined): void {
    const { pool } = this.#ports;
    // Callers that a queue had room for stay: it may still count a connection that was cut.
    if (refusal?.code === "at_capacity")
      this.#places.admitNewcomers(this.#places.size, () => atCapacity(pool, refusal));
    else if (refusal && !FOR_NOW.has(refusal.code)) this.#places.endEach(() => refusal);
    const now = performance.now();
    this.#places.endEach(({ since }) =>
      since > this.#reachedAt && now - since > UNREACHABLE_MS
        ? PoolError.of("no_members_available", `pool ${pool}: none of its members answers`)
        : undefined,
    );
  }

  get #firstPosition(): number {
    return Math.min(...[...this.#subscriptions.values()].map(({ position }) => position));
  }

  /** Tells the positions now, and later the changes until then. */
  #reportPositions(): void {
    const first = this.#firstPosition;
    if (this.#positionTimer || !this.#isBusy || first === Number.POSITIVE_INFINITY) return;
    this.#places.tellAll(first);
    const ms = Math.max(POSITION_INTERVAL_MS, POSITION_COST_MS * this.#places.size);
    this.#positionTimer = setTimeout(() => {
      this.#positionTimer = undefined;
      this.#reportPositions();
    }, ms);
  }
}
