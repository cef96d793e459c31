/** Limits how much one client may ask for: requests per second, and streams open at a time. */
import { LRUCache } from "lru-cache";

/**
 * 10,000 clients are remembered. The client that was quiet for the longest time is evicted first.
 */
const MAX_CLIENTS = 10_000;
/** A client that was quiet may send 2 seconds' worth of requests at once. */
const BURST_SECONDS = 2;

/** A token bucket for each client. */
export class RateLimit {
  /** Requests per second. A change leaves each client the tokens that its bucket holds. */
  perSecond: number;
  readonly #now: () => number;
  readonly #buckets = new LRUCache<string, { readonly tokens: number; readonly at: number }>({
    max: MAX_CLIENTS,
  });

  /** @param now a monotonic clock, in milliseconds. Default: `performance.now`. */
  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.perSecond = perSecond;
    this.#now = now;
  }

  /**
   * Counts a request of the client. Returns false if the request exceeds the client's rate.
   *
   * @param perSecond the client's own rate. Default: that of all clients.
   */
  take(client: string, perSecond = this.perSecond): boolean {
    const now = this.#now();
    const full = perSecond * BURST_SECONDS;
    const { tokens, at } = this.#buckets.get(client) ?? { tokens: full, at: now };
    const refilled = Math.min(full, tokens + ((now - at) / 1_000) * perSecond);
    const allowed = refilled >= 1;
    this.#buckets.set(client, { tokens: allowed ? refilled - 1 : refilled, at: now });
    return allowed;
  }

  /** The number of clients that are remembered. */
  get clients(): number {
    return this.#buckets.size;
  }
}

/** Counts the streams that each client has open. */
export class StreamLimit {
  /** Streams per client. A lower number closes no open stream. */
  max: number;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(max: number) {
    this.max = max;
  }

  /** The streams that are open. */
  get total(): number {
    return this.#total;
  }

  /**
   * Counts one more stream of the client.
   *
   * @param max the client's own number of streams. Default: that of all clients.
   * @returns a function that removes the stream from the count, to be called once; undefined if the
   *   client already has the maximum.
   */
  open(client: string, max = this.max): (() => void) | undefined {
    const open = this.#open.get(client) ?? 0;
    if (open >= max) return undefined;
    this.#open.set(client, open + 1);
    this.#total += 1;
    return () => {
      this.#total -= 1;
      const rest = (this.#open.get(client) ?? 1) - 1;
      if (rest === 0) this.#open.delete(client);
      else this.#open.set(client, rest);
    };
  }
}
