/** A deadline, which is fixed once when a request arrives. Later steps are given what remains. */
export class Deadline {
  readonly #at: number;
  readonly #now: () => number;

  /**
   * @param ms milliseconds from now; undefined for no deadline.
   * @param now a clock in milliseconds that never goes back. Default: `performance.now`.
   */
  constructor(ms: number | undefined, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#at = ms === undefined ? Number.POSITIVE_INFINITY : now() + ms;
  }

  /** Milliseconds that remain: 0 or less once it has passed, `Infinity` without a deadline. */
  get remainingMs(): number {
    return this.#at - this.#now();
  }

  get hasPassed(): boolean {
    return this.remainingMs <= 0;
  }

  /** The remainder as a key of a child spec, at least 1 ms; no key without a deadline. */
  get forSpec(): { deadlineMs?: number } {
    const { remainingMs } = this;
    return Number.isFinite(remainingMs) ? { deadlineMs: Math.max(1, Math.ceil(remainingMs)) } : {};
  }
}
