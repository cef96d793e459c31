/**
 * Idempotency keys in Consul KV: one entry for each key, created by check-and-set. KV entries have
 * no time to live, so an entry has its own, and the members sweep those that have expired.
 */
import type { ConsulClient } from "../../sdk/typescript/node/consul/consul-client.ts";
import type { ConsulRights, Right } from "../../sdk/typescript/node/consul/consul-rights.ts";
import { isExpired, type KeyEntry, type Keys, unavailable } from "./keys.ts";

export const KEY_PREFIX = "distributed-pool/idempotency/";

/** The rights that a member's token needs for keys. */
export const USE_KEYS: readonly Right[] = [
  {
    Resource: "key",
    Access: "write",
    Segment: KEY_PREFIX,
    rule: 'key_prefix "distributed-pool/" { policy = "write" }',
  },
];
export const USING_KEYS = "keep idempotency keys";

/** 2 seconds for one request: a caller of a call without its key would not wait longer either. */
const REQUEST_TIMEOUT_MS = 2_000;
/** An entry may be replaced between two requests, but hardly 3 times. */
const ROUNDS = 3;
/** A sweep reads the entries whose names begin alike: one part of 256, every 10 seconds. */
const SWEEP_INTERVAL_MS = 10_000;
const SWEEP_DIGITS = 2;
/** A sweep removes at most 500 entries. */
const MAX_SWEPT = 500;
/** The sweep waits 10 minutes longer than a caller would: the clocks of the members differ. */
const SWEEP_LATER_MS = 600_000;

interface Kept {
  readonly entry: KeyEntry;
  readonly index: number;
}

export class ConsulKeys implements Keys {
  readonly #consul: ConsulClient;
  readonly #rights: ConsulRights;
  #sweeper: NodeJS.Timeout | undefined;
  #swept = Math.floor(Math.random() * 16 ** SWEEP_DIGITS);

  constructor(consul: ConsulClient, rights: ConsulRights) {
    this.#consul = consul;
    this.#rights = rights;
  }

  async find(name: string): Promise<KeyEntry | undefined> {
    const kept = await this.#answer(() => this.#read(name));
    return kept && !isExpired(kept.entry) ? kept.entry : undefined;
  }

  create(name: string, entry: KeyEntry): Promise<KeyEntry> {
    this.#sweeper ??= setInterval(() => void this.#sweepNext(), SWEEP_INTERVAL_MS).unref();
    return this.#answer(async () => {
      for (let round = 0; round < ROUNDS; round++) {
        // The index 0 stands for an entry that does not exist.
        if (await this.#set(name, entry, 0)) return entry;
        const kept = await this.#read(name);
        if (!kept) continue;
        if (!isExpired(kept.entry)) return kept.entry;
        if (await this.#set(name, entry, kept.index)) return entry;
      }
      throw new Error("its entry changes all the time");
    });
  }

  remove(name: string, child: string): Promise<void> {
    return this.#answer(async () => {
      const kept = await this.#read(name);
      if (kept?.entry.child === child) await this.#delete(name, kept.index);
    });
  }

  /**
   * Removes entries that have expired, of those whose names begin with the digits.
   *
   * @param now milliseconds since 1970.
   */
  async sweep(digits: string, now = Date.now()): Promise<void> {
    const query = { key: KEY_PREFIX + digits, recurse: true, stale: true, ...timeout };
    const items = (await this.#consul.kv.get(query)) ?? [];
    const expired = [items]
      .flat()
      .filter(({ Value }) => isExpired(parsed(Value), now - SWEEP_LATER_MS));
    for (const { Key, ModifyIndex } of expired.slice(0, MAX_SWEPT))
      await this.#delete(Key.slice(KEY_PREFIX.length), ModifyIndex);
  }

  /** Ends the sweeping. */
  close(): void {
    clearInterval(this.#sweeper);
  }

  async #sweepNext(): Promise<void> {
    this.#swept = (this.#swept + 1) % 16 ** SWEEP_DIGITS;
    const digits = this.#swept.toString(16).padStart(SWEEP_DIGITS, "0");
    // While Consul is away, entries wait for the next sweep.
    await this.sweep(digits).catch(() => {});
  }

  /** An entry is read from a leader that has made sure that it still leads. */
  async #read(name: string): Promise<Kept | undefined> {
    const query = { key: KEY_PREFIX + name, consistent: true, ...timeout };
    const item = await this.#consul.kv.get(query);
    return item ? { entry: parsed(item.Value), index: item.ModifyIndex } : undefined;
  }

  #set(name: string, entry: KeyEntry, cas: number): Promise<boolean> {
    const value = JSON.stringify(entry);
    return this.#consul.kv.set({ key: KEY_PREFIX + name, value, cas, ...timeout });
  }

  async #delete(name: string, cas: number): Promise<void> {
    await this.#consul.kv.del({ key: KEY_PREFIX + name, cas, ...timeout });
  }

  async #answer<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw unavailable((await this.#rights.behind(error, USING_KEYS, USE_KEYS)) ?? error);
    }
  }
}

/** @throws {Error} for a value that no member wrote. */
function parsed(value: string | null): KeyEntry {
  const entry = JSON.parse(value ?? "null") as Partial<KeyEntry> | null;
  const { child, fingerprint, expiresAt } = entry ?? {};
  if (typeof child !== "string" || typeof fingerprint !== "string" || typeof expiresAt !== "number")
    throw new Error("expected an entry of a member; got another value");
  return { child, fingerprint, expiresAt };
}

/** An option of every request, which the types of the client leave out. */
const timeout = { timeout: REQUEST_TIMEOUT_MS } as object;
