/** Beliefs in the order of their news, from which members with a free slot are drawn at random. */
import type { Belief } from "./belief.ts";

/** To add, to remove and to draw take the same time in any set. */
export class BeliefSet {
  /** The oldest first. */
  readonly #byName = new Map<string, Belief>();
  /** The beliefs of members with a free slot. */
  readonly #free: Belief[] = [];

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): Belief | undefined {
    return this.#byName.get(name);
  }

  /** The belief whose news are the oldest. */
  get oldest(): Belief | undefined {
    return this.#byName.values().next().value;
  }

  /** Adds the belief as the latest one. */
  add(belief: Belief): void {
    this.#byName.set(belief.name, belief);
    this.refile(belief);
  }

  delete(belief: Belief): void {
    this.#byName.delete(belief.name);
    this.#setFree(belief, false);
  }

  /** Notes that a belief in the set has changed. */
  refile(belief: Belief): void {
    const { load } = belief;
    this.#setFree(belief, load !== undefined && load.active < load.max);
  }

  /**
   * Up to `count` different beliefs of members with a free slot that pass, in random order.
   *
   * @param random returns a number in [0, 1).
   */
  draw(count: number, random: () => number, passes: (belief: Belief) => boolean): Belief[] {
    const drawn: Belief[] = [];
    for (let rest = this.#free.length; rest > 0 && drawn.length < count; rest--) {
      const belief = this.#free[Math.floor(random() * rest)] as Belief;
      this.#swap(belief, this.#free[rest - 1] as Belief);
      if (passes(belief)) drawn.push(belief);
    }
    return drawn;
  }

  #setFree(belief: Belief, isFree: boolean): void {
    if (isFree === belief.index >= 0) return;
    if (isFree) belief.index = this.#free.push(belief) - 1;
    else {
      this.#swap(belief, this.#free.at(-1) as Belief);
      this.#free.pop();
      belief.index = -1;
    }
  }

  #swap(one: Belief, other: Belief): void {
    [one.index, other.index] = [other.index, one.index];
    this.#free[one.index] = one;
    this.#free[other.index] = other;
  }
}
