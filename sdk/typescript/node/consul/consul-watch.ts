/** One watch on the service in Consul, which keeps the last good list while Consul is away. */
import { setTimeout as pause } from "node:timers/promises";
import { messageOf, PoolError } from "../../../../openapi/errors.ts";
import type { Member, RegisteredMember } from "../../placement/members.ts";
import { within } from "../../time/within.ts";
import type { ConsulClient } from "./consul-client.ts";
import { type ConsulRights, READ_MEMBERS, READING } from "./consul-rights.ts";
import { type HealthEntry, memberOf, SERVICE } from "./consul-service.ts";

/** Consul answers a blocking query after this time, even when nothing has changed. */
const WAIT = "60s";
/** 5 seconds for the first list to arrive. */
const FIRST_LIST_TIMEOUT_MS = 5_000;
/**
 * 15 seconds, the TTL of a member's check. When Consul is back, a member that is missing stays on
 * the list for this long, because it may be about to register again.
 */
const SETTLE_MS = 15_000;
/** The pause before a failed watch starts again: 100 ms at first, doubled up to 2 seconds. */
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;

interface Surroundings {
  /** The rights of the client's token. */
  readonly rights: ConsulRights;
  /** Is called after each change of the list. */
  readonly onChange: () => void;
}

export class ConsulWatch {
  readonly #consul: ConsulClient;
  readonly #filter: { readonly filter?: string };
  readonly #rights: ConsulRights;
  readonly #onChange: () => void;
  /** The members of Consul's last answer. */
  #answered: readonly RegisteredMember[] = [];
  /** Members that went missing while Consul was away, until they are back or `SETTLE_MS` ends. */
  readonly #missing = new Map<string, RegisteredMember>();
  /** Both together; undefined until the first answer. */
  #listed: readonly RegisteredMember[] | undefined;
  #passing: readonly Member[] = [];
  /** Resolves at the first list or refusal, and at `close()`. */
  readonly #firstList: Promise<void>;
  #settle!: () => void;
  /** The last error since the last answer. */
  #error: string | undefined;
  #refusal: PoolError | undefined;
  #retryMs = RETRY_MIN_MS;
  #watch: ReturnType<ConsulClient["watch"]> | undefined;
  /** The last answer of the watch. */
  #latest: readonly HealthEntry[] = [];
  readonly #closing = new AbortController();

  /**
   * @param filter a filter expression of Consul's, such as `"pipeline" in Service.Tags`.
   */
  constructor(
    consul: ConsulClient,
    filter: { readonly filter?: string },
    { rights, onChange }: Surroundings,
  ) {
    this.#consul = consul;
    this.#filter = filter;
    this.#rights = rights;
    this.#onChange = onChange;
    this.#firstList = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#start();
  }

  /**
   * The members whose checks pass.
   *
   * @throws {PoolError} without a list: `unauthorized` and `forbidden`, with the right that the
   *   token lacks; `no_members_available` while Consul is away.
   */
  async members(): Promise<readonly Member[]> {
    await this.#awaitList();
    return this.#passing;
  }

  /** All members, passing or not. @throws {PoolError} as `members()` does. */
  registered(): Promise<readonly RegisteredMember[]> {
    return this.#awaitList();
  }

  /** The member of this name, passing or not. @throws {PoolError} as `members()` does. */
  async find(name: string) {
    return (await this.#awaitList()).find((member) => member.name === name);
  }

  close(): void {
    this.#closing.abort();
    this.#watch?.end();
    this.#settle();
  }

  async #awaitList(): Promise<readonly RegisteredMember[]> {
    if (!this.#listed) await within(FIRST_LIST_TIMEOUT_MS, this.#firstList);
    if (this.#listed) return this.#listed;
    if (this.#refusal) throw this.#refusal;
    const reason = this.#error ?? `no answer in ${FIRST_LIST_TIMEOUT_MS} ms`;
    throw PoolError.of("no_members_available", `Consul has not answered yet: ${reason}`);
  }

  #after(ms: number, run: () => void): void {
    const { signal } = this.#closing;
    void pause(ms, undefined, { ref: false, signal }).then(run, () => {});
  }

  #start(): void {
    const watch = this.#consul.watch({
      method: this.#consul.health.service,
      options: { service: SERVICE, wait: WAIT, ...this.#filter },
    });
    this.#watch = watch;
    watch.on("change", (entries: HealthEntry[]) => {
      this.#latest = entries;
      const isCurrent = () => watch === this.#watch && entries === this.#latest;
      const members = entries.map(memberOf).filter((member) => member !== undefined);
      if (members.length > 0) return this.#accept(members);
      // Consul shows an empty list to a token that may not read it.
      void this.#rights
        .missing(READING, READ_MEMBERS)
        .then((refusal) => {
          if (!isCurrent()) return;
          if (refusal) this.#fail(refusal, refusal);
          else this.#accept([]);
        })
        .catch((error) => isCurrent() && this.#fail(error));
    });
    watch.on("error", (error: Error) => {
      if (watch !== this.#watch) return;
      // After an error, the library's watch keeps its old index and may stay blind for a whole
      // wait. A new watch begins without an index.
      watch.end();
      this.#watch = undefined;
      void this.#rights
        .behind(error, READING, READ_MEMBERS)
        .then((refusal) => this.#fail(error, refusal));
    });
  }

  /** Keeps the list, and starts a new watch soon. */
  #fail(error: unknown, refusal?: PoolError): void {
    this.#watch?.end();
    this.#watch = undefined;
    this.#error = messageOf(error);
    this.#refusal = refusal;
    if (refusal) this.#settle();
    this.#after(this.#retryMs, () => this.#start());
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
  }

  #accept(answered: readonly RegisteredMember[]): void {
    if (this.#closing.signal.aborted) return;
    this.#retryMs = RETRY_MIN_MS;
    this.#refusal = undefined;
    this.#answered = answered;
    if (this.#error !== undefined) {
      this.#error = undefined;
      for (const member of this.#listed ?? []) this.#missing.set(member.name, member);
      this.#after(SETTLE_MS, () => {
        this.#missing.clear();
        this.#update();
      });
    }
    for (const { name } of answered) this.#missing.delete(name);
    this.#update();
  }

  #update(): void {
    this.#listed = [...this.#answered, ...this.#missing.values()];
    this.#passing = this.#listed.filter(({ state }) => state === "up");
    this.#settle();
    this.#onChange();
  }
}
