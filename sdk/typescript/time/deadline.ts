/** A deadline, which is fixed once when a request arrives. Later steps are given what remains. */
export class Deadline {
  readonly #at: number;

  /** @param ms milliseconds from now. Default: no deadline. */
  constructor(ms = Number.POSITIVE_INFINITY) {
    this.#at = performance.now() + ms;
  }

  /** Milliseconds that remain: 0 once it has passed, `Infinity` without a deadline. */
  get remainingMs(): number {
    return Math.max(0, this.#at - performance.now());
  }

  get hasPassed(): boolean {
    return this.remainingMs === 0;
  }

  /** The remainder as a key of a child spec, at least 1 ms; no key without a deadline. */
  get forSpec(): { deadlineMs?: number } {
    const { remainingMs } = this;
    return Number.isFinite(remainingMs) ? { deadlineMs: Math.max(1, Math.ceil(remainingMs)) } : {};
  }
}
