/** How much one client may ask for: requests a second, and streams at a time. */

/** So many clients are remembered; the one that was away the longest is forgotten first. */
const MAX_CLIENTS = 10_000;
/** A client that was quiet may ask for so many seconds' worth at once. */
const BURST_SECONDS = 2;

/** A token bucket for each client. */
export class RateLimit {
  /** May be changed: what a client has left over stays its own. */
  perSecond: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  /** @param now milliseconds that only go up. */
  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.perSecond = perSecond;
    this.#now = now;
  }

  /** Counts a request of the client. False when it was one too many. */
  take(client: string): boolean {
    const now = this.#now();
    const full = this.perSecond * BURST_SECONDS;
    const { left, at } = this.#buckets.get(client) ?? { left: full, at: now };
    const refilled = Math.min(full, left + ((now - at) / 1_000) * this.perSecond);
    const allowed = refilled >= 1;
    // Put at the end: the map's order is that of the last use.
    this.#buckets.delete(client);
    this.#buckets.set(client, { left: allowed ? refilled - 1 : refilled, at: now });
    if (this.#buckets.size > MAX_CLIENTS)
      this.#buckets.delete(this.#buckets.keys().next().value as string);
    return allowed;
  }

  /** How many clients are remembered. */
  get clients(): number {
    return this.#buckets.size;
  }
}

/** Counts what each client has open. */
export class StreamLimit {
  /** May be changed: what is open stays open. */
  max: number;
  readonly #open = new Map<string, number>();

  constructor(max: number) {
    this.max = max;
  }

  /** Counts one more. Answers what counts it off again (call it once); undefined when the client has its fill. */
  open(client: string): (() => void) | undefined {
    const open = this.#open.get(client) ?? 0;
    if (open >= this.max) return undefined;
    this.#open.set(client, open + 1);
    return () => {
      const left = (this.#open.get(client) ?? 1) - 1;
      if (left === 0) this.#open.delete(client);
      else this.#open.set(client, left);
    };
  }
}
