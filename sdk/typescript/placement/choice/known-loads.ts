/**
 * The loads of a pool's members as one client knows them: those that it was told, and what it has
 * sent and seen end since. It reads no clock and asks nobody.
 *
 * A choice compares a few random members that are known, and the one whose child ended last. This
 * is the choice among d with memory (Mitzenmacher, Prabhakar and Shah, 2002). Clients that were
 * told the same loads spread over the members, because each draws others.
 */
import type { Load } from "../../../../openapi/errors.ts";
import { type Answered, Belief, ratioOf } from "./belief.ts";
import { BeliefSet } from "./belief-set.ts";
import { perPool } from "./per-pool.ts";

/**
 * 100 ms: a member that said nothing for longer may hang, so it is sent no call before it has
 * answered a question.
 */
const FRESH_MS = 100;
/** 5 seconds: until then, a member that had a free slot is worth a question. */
const KNOWN_MS = 5_000;
/** 1,024 members of each of the two ages are known at a time, those of the latest news. */
const MAX_KNOWN = 1_024;
/** 5 random members are compared. */
const CHOICES = 5;

interface Named {
  readonly name: string;
}

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
  readonly #fresh = new BeliefSet();
  readonly #older = new BeliefSet();
  /** The member whose child ended last. */
  #freed: Belief | undefined;
  /** The mean of active/max in the last sample. */
  #sample = { mean: 0, at: Number.NEGATIVE_INFINITY };

  /** The number of members that are known, or that owe an answer. */
  get size(): number {
    return this.#fresh.size + this.#older.size;
  }

  /** Notes the load that a member told. */
  note(name: string, load: Load, now: number): void {
    const belief = this.#of(name, now);
    belief.told(load, now);
    this.#renew(belief);
  }

  /** Notes the loads of a random sample of the members, beside {@link note} for each of them. */
  noteSample(sample: readonly { readonly load: Load }[], now: number): void {
    if (sample.length === 0) return;
    const sum = sample.reduce((total, { load }) => total + ratioOf(load), 0);
    this.#sample = { mean: sum / sample.length, at: now };
  }

  /** Notes that a member was sent a request for an admission. */
  sent(name: string, now: number): void {
    const belief = this.#of(name, now);
    belief.sent(now);
    this.#setOf(belief).refile(belief);
  }

  /** Notes the answer to such a request, or its failure. */
  answered(name: string, answer: Answered, now: number): void {
    const belief = this.#find(name);
    if (!belief) return;
    belief.answered(answer, now);
    if (answer.told) this.#renew(belief);
    else this.#setOf(belief).refile(belief);
  }

  /** Notes that a child which this client placed there has ended. */
  ended(name: string, now: number): void {
    const belief = this.#find(name);
    if (!belief?.load) return;
    belief.ended(now);
    this.#renew(belief);
    this.#freed = belief;
  }

  /**
   * The least loaded of a few members that are known to have a free slot, and that spoke just now.
   * Undefined where no such member is known.
   */
  choose<M extends Named>(
    members: readonly M[],
    { now, random, mayTry = () => true, own }: ChoiceOptions<M>,
  ): Choice<M> | undefined {
    this.#age(now);
    const byName = byNameOf(members);
    const isUsable = (belief: Belief) =>
      belief.name !== own?.member.name &&
      byName.has(belief.name) &&
      belief.silentMs(now) <= FRESH_MS;
    const drawn = this.#fresh.draw(CHOICES, random, isUsable);
    const freed = this.#freed;
    if (freed && freed.index >= 0 && this.#fresh.get(freed.name) === freed && isUsable(freed))
      drawn.push(freed);
    const candidates = drawn.map(({ name, load }) => ({
      member: byName.get(name) as M,
      load: load as Load,
    }));
    if (own?.load && own.load.active < own.load.max)
      candidates.unshift({ member: own.member, load: own.load });
    candidates.sort((a, b) => ratioOf(a.load) - ratioOf(b.load));
    const best = candidates.find(({ member }) => mayTry(member));
    const unknown = members.length - this.#fresh.size - (own ? 1 : 0);
    return best && { ...best, isBusy: unknown > 0 && this.#isBusy(best.load, now) };
  }

  /** The least loaded of a few members whose loads are old, which is worth a question. */
  older<M extends Named>(
    members: readonly M[],
    { now, random, mayTry = () => true }: ChoiceOptions<M>,
  ): M | undefined {
    this.#age(now);
    const byName = byNameOf(members);
    const isUsable = (belief: Belief) =>
      byName.has(belief.name) && belief.silentMs(now) <= FRESH_MS;
    return this.#older
      .draw(CHOICES, random, isUsable)
      .sort((a, b) => ratioOf(a.load as Load) - ratioOf(b.load as Load))
      .map(({ name }) => byName.get(name) as M)
      .find(mayTry);
  }

  /** Whether other members are likely to be less loaded, by more than half a slot. */
  #isBusy(load: Load, now: number): boolean {
    const usual = now - this.#sample.at <= KNOWN_MS ? this.#sample.mean : 0;
    return load.active > 0 && ratioOf(load) > usual + 0.5 / load.max;
  }

  #find(name: string): Belief | undefined {
    return this.#fresh.get(name) ?? this.#older.get(name);
  }

  #of(name: string, now: number): Belief {
    const known = this.#find(name);
    if (known) return known;
    const belief = new Belief(name, now);
    this.#add(belief, this.#fresh);
    return belief;
  }

  #setOf({ name }: Belief): BeliefSet {
    return this.#fresh.get(name) ? this.#fresh : this.#older;
  }

  #renew(belief: Belief): void {
    this.#setOf(belief).delete(belief);
    this.#add(belief, this.#fresh);
  }

  #add(belief: Belief, set: BeliefSet): void {
    set.add(belief);
    if (set.size > MAX_KNOWN) set.delete(set.oldest as Belief);
  }

  /** Moves beliefs to the older ones, and forgets the oldest. */
  #age(now: number): void {
    for (let { oldest } = this.#fresh; oldest && now - oldest.at > FRESH_MS; ) {
      this.#fresh.delete(oldest);
      this.#add(oldest, this.#older);
      ({ oldest } = this.#fresh);
    }
    for (let { oldest } = this.#older; oldest && now - oldest.at > KNOWN_MS; ) {
      this.#older.delete(oldest);
      ({ oldest } = this.#older);
    }
  }
}

/** The known loads of the members of one pool. */
export const knownIn = perPool(() => new KnownLoads());

const indices = new WeakMap<readonly Named[], ReadonlyMap<string, Named>>();

/** The members by name. A registry gives the same list until it changes. */
function byNameOf<M extends Named>(members: readonly M[]): ReadonlyMap<string, M> {
  const byName = indices.get(members) ?? new Map(members.map((each) => [each.name, each]));
  indices.set(members, byName);
  return byName as ReadonlyMap<string, M>;
}
