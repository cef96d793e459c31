/** The members of a simulated pool: they admit, refuse, and tell their load, some of them badly. */
import type { Load } from "../../../openapi/errors.ts";
import type { Member } from "../../../sdk/typescript/placement/members.ts";
import type { VirtualClock } from "./clock.ts";

/** How a tenth of the members misbehaves. */
export type Fault = "none" | "stale" | "slow" | "lying";

export interface Scenario {
  readonly members: number;
  /** The share of the slots that is taken on average. */
  readonly load: number;
  readonly fault: Fault;
  readonly calls: number;
  readonly policy: string;
}

export const SLOTS = 5;
/** 200 ms of work on average, exponentially distributed. */
const WORK_MS = 200;
/** 0.5 ms from a client to a member, and the same back. */
const ONE_WAY_MS = 0.5;
/** A slow member answers after 200 ms. */
const SLOW_MS = 200;
/** A stale member tells the load that it had up to 1 second ago. */
const STALE_MS = 1_000;
const FAULTY_SHARE = 0.1;

export interface Answer {
  readonly isAdmitted: boolean;
  readonly load: Load;
}

export class World {
  readonly members: readonly Member[];
  readonly #clock: VirtualClock;
  readonly #random: () => number;
  readonly #fault: Fault;
  readonly #active: Int32Array;
  readonly #told: { load: Load; at: number }[] = [];
  readonly #indices: ReadonlyMap<string, number>;
  #free: number;
  /** When no slot was free for the last time. */
  fullAt = Number.NEGATIVE_INFINITY;
  /** Requests of all clients. */
  requests = 0;

  constructor(scenario: Scenario, clock: VirtualClock, random: () => number) {
    const { members, load, fault } = scenario;
    this.#clock = clock;
    this.#random = random;
    this.#fault = fault;
    this.members = Array.from({ length: members }, (_, index) => ({
      name: `m${index}`,
      url: `http://m${index}`,
      pools: { p: SLOTS },
      sandbox: "full",
      version: "0.2.0",
    }));
    this.#indices = new Map(this.members.map(({ name }, index) => [name, index]));
    this.#active = new Int32Array(members);
    this.#free = members * SLOTS;
    // The pool begins in its usual state: each slot is taken with the probability of the load.
    for (let index = 0; index < members; index++)
      for (let slot = 0; slot < SLOTS; slot++) if (random() < load) this.#start(index, () => {});
  }

  /** Milliseconds between two calls of all clients, on average. */
  pauseMs(load: number): number {
    return WORK_MS / (this.members.length * SLOTS * load);
  }

  /** A time with this mean, exponentially distributed. */
  exponential(meanMs: number): number {
    return -Math.log(1 - this.#random()) * meanMs;
  }

  /** Asks one member for its load. */
  async probe(member: Member): Promise<Load> {
    this.requests += 1;
    const index = this.#indexOf(member);
    await this.#clock.wait(ONE_WAY_MS + this.#delayOf(index));
    const load = this.#loadOf(index);
    await this.#clock.wait(ONE_WAY_MS);
    return load;
  }

  /**
   * Asks several members how many children they have, and waits for the slowest. One event stands
   * for all the answers.
   */
  async probeAll(members: readonly Member[]): Promise<number[]> {
    this.requests += members.length;
    const indices = members.map((each) => this.#indexOf(each));
    await this.#clock.wait(ONE_WAY_MS);
    const isSlow = indices.some((index) => this.#delayOf(index) > 0);
    const told = indices.map((index) =>
      this.#isFaulty(index) ? this.#loadOf(index).active : (this.#active[index] as number),
    );
    await this.#clock.wait(ONE_WAY_MS + (isSlow ? SLOW_MS : 0));
    return told;
  }

  /** Tries to be admitted. @param onEnd called when the client hears of the end. */
  async admit(member: Member, onEnd: () => void): Promise<Answer> {
    this.requests += 1;
    const index = this.#indexOf(member);
    await this.#clock.wait(ONE_WAY_MS + this.#delayOf(index));
    const isAdmitted = (this.#active[index] as number) < SLOTS;
    if (isAdmitted) this.#start(index, () => this.#clock.after(ONE_WAY_MS, onEnd));
    const load = this.#loadOf(index);
    await this.#clock.wait(ONE_WAY_MS);
    return { isAdmitted, load };
  }

  #indexOf({ name }: Member): number {
    return this.#indices.get(name) as number;
  }

  #start(index: number, onEnd: () => void): void {
    (this.#active[index] as number) += 1;
    this.#free -= 1;
    if (this.#free === 0) this.fullAt = Number.POSITIVE_INFINITY;
    this.#clock.after(this.exponential(WORK_MS), () => {
      if (this.#free === 0) this.fullAt = this.#clock.now();
      (this.#active[index] as number) -= 1;
      this.#free += 1;
      onEnd();
    });
  }

  #isFaulty(index: number): boolean {
    return index < this.members.length * FAULTY_SHARE;
  }

  #delayOf(index: number): number {
    return this.#fault === "slow" && this.#isFaulty(index) ? SLOW_MS : 0;
  }

  #loadOf(index: number): Load {
    const load = { active: this.#active[index] as number, max: SLOTS, queued: 0 };
    if (!this.#isFaulty(index)) return load;
    if (this.#fault === "lying") return { ...load, active: 0 };
    if (this.#fault !== "stale") return load;
    const told = this.#told[index];
    if (told && this.#clock.now() - told.at < STALE_MS) return told.load;
    this.#told[index] = { load, at: this.#clock.now() };
    return load;
  }
}
