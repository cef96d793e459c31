/**
 * The loads of a pool's members as one client knows them: those that it was told, and what it has
 * sent and seen end since. It reads no clock and asks nobody.
 *
 * A choice compares a few random members that are known, and the one whose child ended last. This
 * is the choice among d with memory (Mitzenmacher, Prabhakar and Shah, 2002). Clients that were
 * told the same loads spread over the members, because each draws others.
 */
import type { Load } from "../../../../openapi/errors.ts";
import { type Answered, Belief, expectedRatio, ratioOf } from "./belief.ts";
import { DrawList } from "./draw-list.ts";
import { perPool } from "./per-pool.ts";

/** 5 random members are compared. */
const CHOICES = 5;
/** 1,024 members are known at a time, those of the latest news. */
const MAX_KNOWN = 1_024;
/** 5 seconds: an older sample says nothing about the members that are not known. */
const SAMPLE_MS = 5_000;

/** A member that is believed to have a free slot. */
export interface Choice<M> {
  readonly member: M;
  /** The load that is believed, with the requests that have no answer yet. */
  readonly load: Load;
  /** Whether a sample of the members that are not known is likely to show a lower load. */
  readonly isBusy: boolean;
}

export interface ChoiceOptions<M> {
  readonly now: number;
  /** Returns a number in [0, 1). */
  readonly random: () => number;
  /** Whether the member comes before the sick ones. Default: every member. */
  readonly mayTry?: (member: M) => boolean;
  /** The member of this very process, with its load of now. It is chosen among equals. */
  readonly own?: { readonly member: M; readonly load: Load | undefined } | undefined;
}

/**
 * The known loads of one pool. All times are milliseconds of one clock.
 *
 * @example
 * const known = new KnownLoads();
 * known.note("m1", { active: 3, max: 8, queued: 0 }, performance.now());
 * const choice = known.choose(members, { now: performance.now(), random: Math.random });
 */
export class KnownLoads {
  /** In the order of the latest news. */
  readonly #beliefs = new Map<string, Belief>();
  /** The members that are believed to have a free slot. */
  readonly #free = new DrawList<Belief>();
  /** The member whose child ended last. */
  #freed: Belief | undefined;
  /** The mean of active/max in the last sample. */
  #sample = { mean: 0, at: Number.NEGATIVE_INFINITY };

  /** The number of members that are known, or that owe an answer. */
  get size(): number {
    return this.#beliefs.size;
  }

  /** Notes the load that a member told. */
  note(name: string, load: Load, now: number): void {
    const belief = this.#of(name, now);
    belief.told(load, now);
    this.#renew(belief);
  }

  /** Notes the loads of a random sample of the members, beside {@link note} for each of them. */
  noteSample(loads: readonly Load[], now: number): void {
    if (loads.length === 0) return;
    const sum = loads.reduce((total, load) => total + ratioOf(load), 0);
    this.#sample = { mean: sum / loads.length, at: now };
  }

  /** Notes that a member was sent a request for an admission. */
  sent(name: string, now: number): void {
    const belief = this.#of(name, now);
    belief.sent(now);
    this.#file(belief);
  }

  /** Notes the answer to such a request, or its failure. */
  answered(name: string, answer: Answered, now: number): void {
    const belief = this.#beliefs.get(name);
    if (!belief) return;
    belief.answered(answer, now);
    if (answer.told) this.#renew(belief);
    else this.#file(belief);
  }

  /** Notes that a child which this client placed there has ended. */
  ended(name: string, now: number): void {
    const belief = this.#beliefs.get(name);
    if (!belief?.load) return;
    belief.ended(now);
    this.#renew(belief);
    this.#freed = belief;
  }

  /**
   * The least loaded of a few members that are known to have a free slot. Undefined where nothing
   * fresh is known of such a member.
   */
  choose<M extends { readonly name: string }>(
    members: readonly M[],
    { now, random, mayTry = () => true, own }: ChoiceOptions<M>,
  ): Choice<M> | undefined {
    this.#forgetOld(now);
    const usual = now - this.#sample.at <= SAMPLE_MS ? this.#sample.mean : 0;
    const byName = byNameOf(members);
    const isUsable = (belief: Belief) =>
      belief.index >= 0 &&
      belief.name !== own?.member.name &&
      byName.has(belief.name) &&
      !belief.isSilent(now);
    const drawn = this.#free.draw(CHOICES, random, isUsable);
    if (this.#freed && isUsable(this.#freed)) drawn.push(this.#freed);
    const candidates = drawn.map(({ name, load, at }) =>
      candidate(byName.get(name) as M, load as Load, { ageMs: now - at, usual }),
    );
    if (own?.load && own.load.active < own.load.max)
      candidates.unshift(candidate(own.member, own.load, { ageMs: 0, usual }));
    const { member, load } =
      candidates.sort((a, b) => a.ratio - b.ratio).find((each) => mayTry(each.member)) ?? {};
    if (!member || !load) return undefined;
    // A sample pays where others are likely to be less loaded by more than half a slot.
    const isUnusual = load.active > 0 && ratioOf(load) > usual + 0.5 / load.max;
    return { member, load, isBusy: isUnusual && this.#beliefs.size < members.length };
  }

  #of(name: string, now: number): Belief {
    const known = this.#beliefs.get(name);
    if (known) return known;
    const belief = new Belief(name, now);
    this.#beliefs.set(name, belief);
    if (this.#beliefs.size > MAX_KNOWN) this.#forget(this.#beliefs.values().next().value as Belief);
    return belief;
  }

  /** Makes the belief the latest one. */
  #renew(belief: Belief): void {
    this.#beliefs.delete(belief.name);
    this.#beliefs.set(belief.name, belief);
    this.#file(belief);
  }

  #file(belief: Belief): void {
    const { load } = belief;
    this.#free.set(belief, load !== undefined && load.active < load.max);
  }

  #forget(belief: Belief): void {
    belief.doubt();
    this.#file(belief);
    this.#beliefs.delete(belief.name);
  }

  /** Forgets old loads. A member that owes an answer stays, so that its silence is seen. */
  #forgetOld(now: number): void {
    for (const belief of this.#beliefs.values()) {
      if (belief.isFresh(now)) return;
      if (!belief.isPending) this.#forget(belief);
      else {
        belief.doubt();
        this.#file(belief);
      }
    }
  }
}

/** The known loads of the members of one pool. */
export const knownIn = perPool(() => new KnownLoads());

interface Age {
  readonly ageMs: number;
  /** The mean of active/max in the pool. */
  readonly usual: number;
}

const candidate = <M>(member: M, load: Load, { ageMs, usual }: Age) => ({
  member,
  load,
  ratio: expectedRatio(load, ageMs, usual),
});

type Named = { readonly name: string };
const indices = new WeakMap<readonly Named[], ReadonlyMap<string, Named>>();

/** The members by name. A registry gives the same list until it changes. */
function byNameOf<M extends Named>(members: readonly M[]): ReadonlyMap<string, M> {
  const byName = indices.get(members) ?? new Map(members.map((each) => [each.name, each]));
  indices.set(members, byName);
  return byName as ReadonlyMap<string, M>;
}
