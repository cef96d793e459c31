/**
 * What one client believes of the loads of a pool's members: from the loads that it was told, and
 * from what it has sent and seen end since. It reads no clock and asks nobody.
 *
 * It compares two random members that it knows, and the one whose child ended last. This is "two
 * choices with memory" (Mitzenmacher, Prabhakar and Shah, 2002). Clients that were told the same
 * loads spread over them, because each draws its own two.
 */
import type { Load } from "../../../../openapi/errors.ts";

/** 1 second: an older load is not believed. */
const FRESH_MS = 1_000;
/** 100 ms: a member that owes an answer for longer may hang, and is not chosen. */
const SILENT_MS = 100;
/** 5 seconds: an older sample says nothing about the members that are not known. */
const SAMPLE_MS = 5_000;
/** 1,024 members are known at a time, those of the latest news. */
const MAX_KNOWN = 1_024;
/** 2 random members are compared. */
const CHOICES = 2;

interface Belief {
  readonly name: string;
  /** The load that the member told last; undefined while none is believed. */
  load: Load | undefined;
  /** When the member told it, or when the last end of a child there was seen. */
  at: number;
  /** Children admitted less children ended, since the member told its load. */
  since: number;
  /** Requests for an admission that have no answer yet. */
  pending: number;
  /** Since when the member has said nothing, while an answer is pending. */
  silentSince: number;
  /** The place in the list of the members with a free slot; -1 for none. */
  index: number;
}

/** A member that is believed to have a free slot. */
export interface Choice<M> {
  readonly member: M;
  /** The load that is believed, the unanswered requests included. */
  readonly load: Load;
  /** Whether members that are not known are likely to be less loaded, so that asking pays. */
  readonly isBusy: boolean;
}

export interface ChoiceOptions<M> {
  /** Milliseconds of the clock that all calls share. */
  readonly now: number;
  /** Returns a number in [0, 1). */
  readonly random: () => number;
  /** Whether the member comes before the sick ones. Called for members about to be chosen. */
  readonly mayTry?: (member: M) => boolean;
  /** The member of this very process, whose load is exact. It is chosen among equals. */
  readonly own?: { readonly member: M; readonly load: Load } | undefined;
}

/**
 * The known loads of one pool. All times are milliseconds of one clock.
 *
 * @example
 * known.note("m1", { active: 3, max: 8, queued: 0 }, performance.now());
 * const choice = known.choose(members, { now: performance.now(), random: Math.random });
 * if (choice) known.sent(choice.member.name, performance.now());
 */
export class KnownLoads {
  /** In the order of the latest news. */
  readonly #beliefs = new Map<string, Belief>();
  /** The members that are believed to have a free slot. */
  readonly #free: Belief[] = [];
  /** The member whose child ended last. */
  #freed: Belief | undefined;
  /** The mean of active/max in the last sample. */
  #sample = { mean: 0, at: Number.NEGATIVE_INFINITY };

  /** The number of members that are known. */
  get size(): number {
    return this.#beliefs.size;
  }

  /** Notes the load that a member told. */
  note(name: string, load: Load, now: number): void {
    const belief = this.#touched(name, now);
    belief.load = load;
    belief.since = 0;
    this.#file(belief);
  }

  /** Notes the loads that a random sample of the members told. */
  noteSample(loads: readonly Load[], now: number): void {
    if (loads.length === 0) return;
    const sum = loads.reduce((total, load) => total + ratioOf(load), 0);
    this.#sample = { mean: sum / loads.length, at: now };
  }

  /** Notes that a member was sent a request for an admission. */
  sent(name: string, now: number): void {
    const belief = this.#of(name, now);
    if (belief.pending === 0) belief.silentSince = now;
    belief.pending += 1;
    this.#file(belief);
  }

  /**
   * Notes the answer to such a request, or its failure.
   *
   * @param told the load in the answer; undefined for an answer without one.
   */
  answered(name: string, now: number, { isAdmitted, told }: Answered): void {
    const belief = this.#beliefs.get(name);
    if (!belief) return;
    belief.pending = Math.max(0, belief.pending - 1);
    belief.silentSince = now;
    if (told) this.note(name, told, now);
    else if (isAdmitted) belief.since += 1;
    else belief.load = undefined;
    this.#file(belief);
  }

  /** Notes that a child of this client's ended there. */
  ended(name: string, now: number): void {
    const belief = this.#beliefs.get(name);
    if (!belief?.load) return;
    belief.since -= 1;
    this.#file(this.#touched(name, now));
    this.#freed = belief;
  }

  /**
   * The least loaded of a few members that are known to have a free slot. Undefined where nothing
   * fresh is known of such a one.
   */
  choose<M extends { readonly name: string }>(
    members: readonly M[],
    { now, random, mayTry = () => true, own }: ChoiceOptions<M>,
  ): Choice<M> | undefined {
    this.#forgetOld(now);
    const byName = byNameOf(members);
    let best: Choice<M> | undefined;
    const consider = (member: M | undefined, load: Load) => {
      if (!member || load.active >= load.max) return;
      if (best && ratioOf(load) >= ratioOf(best.load)) return;
      if (mayTry(member)) best = { member, load, isBusy: false };
    };
    if (own) consider(own.member, own.load);
    const isUsable = ({ name, pending, silentSince }: Belief) =>
      name !== own?.member.name && (pending === 0 || now - silentSince <= SILENT_MS);
    for (const belief of this.#drawn(random, (each) => isUsable(each) && byName.has(each.name)))
      consider(byName.get(belief.name), believed(belief));
    const freed = this.#freed;
    if (freed && freed.index >= 0 && isUsable(freed))
      consider(byName.get(freed.name), believed(freed));
    return best && { ...best, isBusy: this.#isBusy(best.load, members.length, now) };
  }

  /** Whether other members are likely to have a lower load, by more than a slot. */
  #isBusy(load: Load, members: number, now: number): boolean {
    if (load.active === 0 || this.#beliefs.size >= members) return false;
    const usual = now - this.#sample.at <= SAMPLE_MS ? this.#sample.mean : 0;
    return ratioOf(load) > usual + 1 / load.max;
  }

  /** Draws different members with a free slot at random, up to the number of choices. */
  #drawn(random: () => number, isUsable: (belief: Belief) => boolean): Belief[] {
    const drawn: Belief[] = [];
    for (let rest = this.#free.length; rest > 0 && drawn.length < CHOICES; rest--) {
      const belief = this.#free[Math.floor(random() * rest)] as Belief;
      this.#swap(belief, this.#free[rest - 1] as Belief);
      if (isUsable(belief)) drawn.push(belief);
    }
    return drawn;
  }

  #swap(one: Belief, other: Belief): void {
    [one.index, other.index] = [other.index, one.index];
    this.#free[one.index] = one;
    this.#free[other.index] = other;
  }

  /** Puts a member into the list of those with a free slot, or takes it out. */
  #file(belief: Belief): void {
    const { active, max } = believed(belief);
    if (active < max === belief.index >= 0) return;
    if (active < max) belief.index = this.#free.push(belief) - 1;
    else {
      this.#swap(belief, this.#free.at(-1) as Belief);
      this.#free.pop();
      belief.index = -1;
    }
  }

  #of(name: string, now: number): Belief {
    const known = this.#beliefs.get(name);
    if (known) return known;
    const belief = { name, load: undefined, at: now, since: 0, pending: 0, index: -1 };
    return this.#add({ ...belief, silentSince: now });
  }

  /** The belief as the last of the map, of this time. */
  #touched(name: string, now: number): Belief {
    const belief = this.#of(name, now);
    belief.at = now;
    this.#beliefs.delete(name);
    return this.#add(belief);
  }

  #add(belief: Belief): Belief {
    this.#beliefs.set(belief.name, belief);
    if (this.#beliefs.size > MAX_KNOWN) this.#forget(this.#beliefs.values().next().value as Belief);
    return belief;
  }

  /** Forgets old loads. A member that owes an answer stays, so that the answer is counted. */
  #forgetOld(now: number): void {
    for (const belief of this.#beliefs.values()) {
      if (now - belief.at <= FRESH_MS) return;
      belief.load = undefined;
      this.#file(belief);
      if (belief.pending === 0) this.#beliefs.delete(belief.name);
    }
  }

  #forget(belief: Belief): void {
    belief.load = undefined;
    this.#file(belief);
    this.#beliefs.delete(belief.name);
  }
}

interface Answered {
  readonly isAdmitted: boolean;
  readonly told?: Load | undefined;
}

const ratioOf = ({ active, max }: Load) => (max > 0 ? active / max : 1);

const UNKNOWN: Load = { active: 0, max: 0, queued: 0 };

function believed({ load, since, pending }: Belief): Load {
  if (!load) return UNKNOWN;
  return { ...load, active: Math.max(0, load.active + since) + pending };
}

type Named = { readonly name: string };
const indices = new WeakMap<readonly Named[], ReadonlyMap<string, Named>>();

/** The members by name. A registry gives the same list until it changes. */
function byNameOf<M extends Named>(members: readonly M[]): ReadonlyMap<string, M> {
  const known = indices.get(members) ?? new Map(members.map((each) => [each.name, each]));
  indices.set(members, known);
  return known as ReadonlyMap<string, M>;
}
