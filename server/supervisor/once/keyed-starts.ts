/** Starts one child at most for each key of a caller, over all members. */
import { createHash } from "node:crypto";
import { PoolError, problem } from "../../../openapi/errors.ts";
import { type Keys, unavailable } from "../../membership/keys.ts";
import type { ChildRequest } from "../check-spec.ts";
import { fingerprintOf } from "./fingerprint.ts";

/** 100,000 entries of one member, about 45 MB in each server of Consul; a caller has a fifth. */
const MAX_ENTRIES = 100_000;
const MAX_ENTRIES_OF_CALLER = MAX_ENTRIES / 5;
/** 10,000 ids of children that certainly never ran, because their entries were in doubt. */
const MAX_ABANDONED = 10_000;

/** Another request with the same key has started the child, before this one could. */
export class AlreadyStarted extends PoolError {
  constructor() {
    super(problem("idempotency_conflict", "another request with this key has started its child"));
  }
}

/** A request for a child by a key. */
export interface KeyedRequest extends ChildRequest {
  readonly pool: string;
  /** The caller: the name of its token. */
  readonly client: string;
}

interface KeyedOptions {
  readonly keys: Keys;
  /** Milliseconds after which a key may be used again. */
  idempotencyMs(): number;
}

export class KeyedStarts {
  readonly #options: KeyedOptions;
  /** The entries of this member that have not expired, the oldest first. */
  readonly #mine = new Set<{ readonly client: string; readonly expiresAt: number }>();
  readonly #countOf = new Map<string, number>();
  readonly #abandoned = new Set<string>();
  readonly #beginning = new Map<string, Promise<void>>();

  constructor(options: KeyedOptions) {
    this.#options = options;
  }

  /** The one start that the key of a spec allows; undefined for a spec without a key. */
  async of({ pool, client, ...request }: KeyedRequest): Promise<KeyedStart | undefined> {
    const { idempotencyKey: key } = request.spec;
    if (key === undefined) return undefined;
    // A key is a secret of its caller, so Consul gets only a hash.
    const name = createHash("sha256")
      .update(JSON.stringify([pool, client, key]))
      .digest("hex");
    const fingerprint = await fingerprintOf(request, key);
    return new KeyedStart(this, { name, client, fingerprint });
  }

  get keys(): Keys {
    return this.#options.keys;
  }

  /** Notes that a child's entry is being created. Returns how to note that it is over. */
  begin(child: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#beginning.set(child, promise);
    return () => {
      this.#beginning.delete(child);
      resolve();
    };
  }

  /**
   * Resolves when a child of this id has started, or will not. Others can read its entry before
   * this member has the answer to its creation.
   */
  async settled(child: string): Promise<void> {
    await this.#beginning.get(child);
  }

  /** Whether a child of this id certainly never ran. */
  hasAbandoned(child: string): boolean {
    return this.#abandoned.has(child);
  }

  /** Notes that a child whose entry may exist will not be started. */
  abandon(child: string): void {
    this.#abandoned.add(child);
    if (this.#abandoned.size > MAX_ABANDONED)
      this.#abandoned.delete(this.#abandoned.values().next().value as string);
  }

  /**
   * Counts one more entry of the caller, and returns when it expires.
   *
   * @throws {PoolError} `too_many_requests` where the caller has too many entries here, and
   *   `overloaded` where all callers together have.
   */
  count(client: string): number {
    const now = Date.now();
    for (const entry of this.#mine) {
      if (entry.expiresAt > now) break;
      this.#mine.delete(entry);
      const count = (this.#countOf.get(entry.client) ?? 0) - 1;
      if (count > 0) this.#countOf.set(entry.client, count);
      else this.#countOf.delete(entry.client);
    }
    const used = this.#countOf.get(client) ?? 0;
    if (used >= MAX_ENTRIES_OF_CALLER)
      throw PoolError.of(
        "too_many_requests",
        `expected at most ${MAX_ENTRIES_OF_CALLER} idempotency keys of a caller in ` +
          `${this.#options.idempotencyMs()} ms on one member`,
      );
    if (this.#mine.size >= MAX_ENTRIES)
      throw PoolError.of("overloaded", "this member keeps as many idempotency keys as it may");
    const expiresAt = now + this.#options.idempotencyMs();
    this.#mine.add({ client, expiresAt });
    this.#countOf.set(client, used + 1);
    return expiresAt;
  }
}

interface KeyedStartOptions {
  readonly name: string;
  readonly client: string;
  readonly fingerprint: string;
}

export class KeyedStart {
  readonly #starts: KeyedStarts;
  readonly #options: KeyedStartOptions;

  constructor(starts: KeyedStarts, options: KeyedStartOptions) {
    this.#starts = starts;
    this.#options = options;
  }

  /**
   * The id of the child that the key has started; undefined where it has started none.
   *
   * @throws {PoolError} `idempotency_conflict` where it was started by another spec;
   *   `idempotency_unavailable`.
   */
  async child(): Promise<string | undefined> {
    const { name, fingerprint } = this.#options;
    const entry = await this.#starts.keys.find(name);
    if (entry && entry.fingerprint !== fingerprint)
      throw PoolError.of(
        "idempotency_conflict",
        "expected the child spec that this idempotency key was used for; got another",
        { admitted: false },
      );
    return entry?.child;
  }

  /**
   * Creates the entry, and starts the child behind it. A child that is not started is abandoned:
   * the answer of the registry may have been lost behind the entry.
   *
   * @param child the id of the child.
   * @throws {PoolError} as `start`; {@link AlreadyStarted}; `idempotency_unavailable`;
   *   `too_many_requests`; `overloaded`.
   */
  async start<T>(child: string, start: () => Promise<T>): Promise<T> {
    const { name, client, fingerprint } = this.#options;
    const expiresAt = this.#starts.count(client);
    const over = this.#starts.begin(child);
    try {
      const kept = await this.#starts.keys.create(name, { child, fingerprint, expiresAt });
      if (kept.child !== child) throw new AlreadyStarted();
      return await start();
    } catch (error) {
      this.#starts.abandon(child);
      void this.forget(child).catch(() => {});
      throw error;
    } finally {
      over();
    }
  }

  /** Removes the entry of a child that certainly never ran. */
  forget(child: string): Promise<void> {
    return this.#starts.keys.remove(this.#options.name, child);
  }

  /** The refusal of a request whose entry changes all the time. */
  static unsettled(): PoolError {
    return unavailable(new Error("other requests with the same key begin and fail"));
  }
}
