/** A deadline is fixed once, at the door; what is passed on is what remains of it. */
export class Deadline {
  readonly #at: number;
  readonly #now: () => number;

  /**
   * @param ms milliseconds from now; undefined for none.
   * @param now milliseconds that only go up. Default: `performance.now`.
   */
  constructor(ms: number | undefined, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#at = ms === undefined ? Number.POSITIVE_INFINITY : now() + ms;
  }

  /** Milliseconds that remain, not a whole number: 0 or less once it has passed, `Infinity` for none. */
  get remainingMs(): number {
    return this.#at - this.#now();
  }

  get hasPassed(): boolean {
    return this.remainingMs <= 0;
  }

  /** The remainder as a key of a child spec, at least 1 ms; no key for none. */
  get forSpec(): { deadlineMs?: number } {
    const { remainingMs } = this;
    return Number.isFinite(remainingMs) ? { deadlineMs: Math.max(1, Math.ceil(remainingMs)) } : {};
  }
}
