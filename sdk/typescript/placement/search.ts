/** One caller's tries to be admitted: at members that it knows, then at those that it asks. */
import type { Load, PoolError } from "../../../openapi/errors.ts";
import type { Answered } from "./choice/belief.ts";
import { type ChoiceOptions, KnownLoads } from "./choice/known-loads.ts";
import { type Probe, type Probed, ProbeRound } from "./choice/probes.ts";
import { shuffled } from "./choice/samples.ts";
import type { Member } from "./members.ts";

/** 3 members that are known at most refuse a caller, before it asks. */
const KNOWN_TRIES = 3;

/** The load that an answer told. */
interface Told {
  readonly load?: Load | undefined;
}

interface Admitted<T> extends Told {
  readonly admitted: T;
}

/** The outcome of one try to be admitted. */
export type Admission<T> =
  | Admitted<T>
  /** The member is at capacity; or `closed` says why it admits nothing, such as a drain. */
  | (Told & { readonly full: true; readonly closed?: PoolError | undefined })
  /** The request did not reach the member, or was refused for another reason; nothing was run. */
  | (Told & { readonly unreachable: unknown });

export interface PlacementPorts<T> {
  readonly probe: Probe;
  /**
   * Tries to be admitted. Rejects only when the member may have admitted the child: such a try is
   * never repeated elsewhere.
   */
  admit(member: Member): Promise<Admission<T>>;
  /** Returns a number in [0, 1). Default `Math.random`. */
  random?: () => number;
  /** Whether a member comes before the sick ones. Default: every member. */
  mayTry?: (member: Member) => boolean;
  /** Default `thorough`. */
  effort?: Effort;
  /** The loads that the caller knows. Default: none. */
  known?: KnownLoads;
  /** The member of this very process. Default: the caller is no member. */
  own?: { readonly member: Member; load(): Load | undefined } | undefined;
  /** The clock of the known loads, in milliseconds. Default `performance.now()`. */
  now?: () => number;
}

/**
 * `thorough` asks every member, and looks again for slots that came free meanwhile. `once` asks
 * every member.
 */
export type Effort = "thorough" | "once";

/** The members with a free slot, lowest active/max first; equals keep their random order. */
export function byLoad<T extends { readonly load: Load }>(probed: readonly T[]) {
  return probed
    .filter(({ load }) => load.active < load.max)
    .sort((a, b) => a.load.active / a.load.max - b.load.active / b.load.max);
}

export class Search<T> {
  /** The members that were full, in one pass. */
  full = 0;
  /** Why a member with free slots admits nothing. */
  closed: PoolError | undefined;
  lastError: unknown;
  /** The members that did not answer in time. */
  readonly slow = new Set<Member>();
  readonly #members: readonly Member[];
  readonly #ports: PlacementPorts<T>;
  readonly #known: KnownLoads;
  readonly #now: () => number;
  /** The best member that is known, where asking others is likely to pay. */
  #busy: Probed | undefined;

  constructor(members: readonly Member[], ports: PlacementPorts<T>) {
    const { known = new KnownLoads(), now = () => performance.now() } = ports;
    this.#members = members;
    this.#ports = ports;
    this.#known = known;
    this.#now = now;
  }

  /** Tries members that are known. It asks none of them, or two whose loads are old. */
  async tryKnown(timeoutMs: number): Promise<Admitted<T> | undefined> {
    const { random = Math.random, mayTry = () => true, own } = this.#ports;
    const tried = new Set<Member>();
    const mayTryNow = (member: Member) => !tried.has(member) && mayTry(member);
    const options = () => ({ now: this.#now(), random, mayTry: mayTryNow });
    while (tried.size < KNOWN_TRIES) {
      const ownNow = own && { member: own.member, load: own.load() };
      const choice = this.#known.choose(this.#members, { ...options(), own: ownNow });
      if (!choice) break;
      if (choice.isBusy) {
        this.#busy = choice;
        return undefined;
      }
      tried.add(choice.member);
      const admission = await this.#try(choice.member);
      if (admission) return admission;
    }
    return this.#tryOlder(options(), timeoutMs);
  }

  /** Asks a member whose load is old, and a random one: one of two that hangs delays nobody. */
  async #tryOlder(
    options: ChoiceOptions<Member>,
    timeoutMs: number,
  ): Promise<Admitted<T> | undefined> {
    const older = this.#known.older(this.#members, options);
    if (!older) return undefined;
    const { random, mayTry = () => true } = options;
    for (const other of shuffled(this.#members, random))
      if (other !== older && mayTry(other)) return this.tryEach([older, other], timeoutMs);
    return this.tryEach([older], timeoutMs);
  }

  /**
   * Asks the candidates for their load, and tries them from the least loaded on.
   *
   * @param isSample whether the candidates were drawn from all members. Default false.
   */
  async tryEach(
    candidates: readonly Member[],
    timeoutMs: number,
    isSample = false,
  ): Promise<Admitted<T> | undefined> {
    const round = new ProbeRound(candidates, timeoutMs, this.#ports.probe);
    for (const next of [round.early, round.late]) {
      const answered = await next();
      const now = this.#now();
      for (const { member, load } of answered) this.#known.note(member.name, load, now);
      if (isSample) this.#known.noteSample(answered, now);
      const free = byLoad(answered);
      this.full += answered.length - free.length;
      for (const { member } of this.#withBusy(free, candidates)) {
        const admission = await this.#try(member);
        if (admission) return admission;
      }
    }
    for (const member of round.slow) this.slow.add(member);
    this.lastError = round.lastError ?? this.lastError;
    return undefined;
  }

  /** Compares the first sample with the member that was known before. */
  #withBusy(free: readonly Probed[], candidates: readonly Member[]): readonly Probed[] {
    const busy = this.#busy;
    this.#busy = undefined;
    return busy && !candidates.includes(busy.member) ? byLoad([...free, busy]) : free;
  }

  async #try(member: Member): Promise<Admitted<T> | undefined> {
    this.#known.sent(member.name, this.#now());
    let answer: Answered = { isAdmitted: false };
    try {
      const admission = await this.#ports.admit(member);
      answer = { isAdmitted: "admitted" in admission, told: admission.load };
      if ("admitted" in admission) return admission;
      if ("full" in admission) {
        this.full += 1;
        this.closed = admission.closed ?? this.closed;
      } else this.lastError = admission.unreachable;
      return undefined;
    } finally {
      this.#known.answered(member.name, answer, this.#now());
    }
  }
}
