/** The feeds of the other members as one, for all readers with the same token. */
import { PoolError } from "../../../openapi/errors.ts";
import { randomDigits } from "../../../openapi/names.ts";
import type { Client } from "../../../sdk/typescript/http/client.ts";
import type { Members, RegisteredMember } from "../../../sdk/typescript/placement/members.ts";
import type { FeedEntry } from "../../supervisor/feed/entry.ts";
import { FeedLog } from "../../supervisor/feed/log.ts";
import type { FeedSource } from "./source.ts";
import { Upstream } from "./upstream.ts";

/** The list of members, which is in memory, is compared once a second. */
const LIST_MS = 1_000;
/** 1 ms for each member: 1,000 connections are opened in a second. */
const OPEN_MS = 1;
/** 60 s after its last reader, the connections are closed. A reader may resume until then. */
const LINGER_MS = 60_000;
/** 4 Mi characters of events are kept for each caller. */
const LOG_CHARS = 4 * 1024 * 1024;
/** 16 tokens may watch the other members at a time, through this one, and 2 of each caller. */
const MAX_FAN_INS = 16;
const MAX_OF_CALLER = 2;

interface FanInOptions {
  readonly client: Client;
  readonly members: Members;
  /** The name of this member, which is not asked. */
  readonly name: string;
}

/** For whom the feeds are read. */
interface Reader {
  /** The name of the caller. */
  readonly caller: string;
  readonly authorization: string | undefined;
}

/** The fan-ins of this member, by their callers and tokens. */
export class FanIns {
  readonly #options: FanInOptions;
  readonly #open = new Map<string, FanIn>();

  constructor(options: FanInOptions) {
    this.#options = options;
  }

  /**
   * The fan-in of a caller's token. It stays open for a minute without a reader.
   *
   * @throws {PoolError} `too_many_requests` where 2 other tokens of the caller watch already, or 16
   *   of all callers.
   */
  of({ caller, authorization }: Reader): FanIn {
    // The scheme has several spellings.
    const token = authorization?.replace(/^\S+ +/, "");
    const key = JSON.stringify([caller, token ?? null]);
    const fanIn = this.#open.get(key) ?? this.#opened(key, { caller, authorization });
    // A minute for its reader to begin.
    fanIn.watch()();
    return fanIn;
  }

  close(): void {
    for (const fanIn of this.#open.values()) fanIn.close();
  }

  #opened(key: string, { caller, authorization }: Reader): FanIn {
    this.#makeRoom(caller);
    const client = this.#options.client.as(authorization);
    const fanIn = new FanIn({ ...this.#options, client }, caller, () => {
      if (this.#open.get(key) === fanIn) this.#open.delete(key);
    });
    this.#open.set(key, fanIn);
    return fanIn;
  }

  /** Closes one that nobody reads where there are too many. */
  #makeRoom(caller: string): void {
    const all = [...this.#open.values()];
    const own = all.filter((each) => each.caller === caller);
    const isFull = own.length >= MAX_OF_CALLER;
    if (!isFull && all.length < MAX_FAN_INS) return;
    const idle = (isFull ? own : all).find(({ isIdle }) => isIdle);
    if (!idle)
      throw PoolError.of(
        "too_many_requests",
        isFull
          ? `${caller} watches all members through this one with ${MAX_OF_CALLER} tokens already`
          : `${MAX_FAN_INS} tokens watch all members through this one already; ask another member`,
      );
    idle.close();
  }
}

export class FanIn implements FeedSource {
  readonly log = new FeedLog(LOG_CHARS);
  readonly epoch = randomDigits();
  /** The name of the caller. */
  readonly caller: string;
  readonly #options: FanInOptions;
  readonly #onClose: () => void;
  readonly #upstreams = new Map<string, Upstream>();
  readonly #ended = new Map<string, Upstream>();
  #list: readonly RegisteredMember[] = [];
  #readers = 0;
  #listed: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;

  constructor(options: FanInOptions, caller: string, onClose: () => void) {
    this.#options = options;
    this.caller = caller;
    this.#onClose = onClose;
  }

  /** Whether nobody reads it. */
  get isIdle(): boolean {
    return this.#readers === 0;
  }

  watch(): () => void {
    this.#readers += 1;
    clearTimeout(this.#linger);
    this.#listed ??= this.#update();
    this.#timer ??= setInterval(() => void this.#update(), LIST_MS).unref();
    return () => {
      this.#readers -= 1;
      if (this.#readers === 0) this.#linger = setTimeout(() => this.close(), LINGER_MS).unref();
    };
  }

  async settled(): Promise<void> {
    await this.#listed;
    await Promise.all([...this.#upstreams.values()].map(({ settled }) => settled));
  }

  *state(): Generator<FeedEntry, void, undefined> {
    for (const upstream of [...this.#upstreams.values()]) yield* upstream.state();
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#linger);
    this.#timer = undefined;
    this.#listed = undefined;
    this.#list = [];
    for (const upstream of this.#upstreams.values()) upstream.close();
    this.#upstreams.clear();
    this.#onClose();
  }

  /** Reads the feeds of members that have come, and no more those of members that have left. */
  async #update(): Promise<void> {
    const { client, members, name: own } = this.#options;
    const list = await members.registered().catch(() => this.#list);
    if (list === this.#list || !this.#timer) return;
    this.#list = list;
    const wanted = new Map(
      list.filter(({ name }) => name !== own).map((member) => [member.name, member]),
    );
    for (const [name, upstream] of this.#upstreams) {
      if (wanted.has(name)) continue;
      this.#upstreams.delete(name);
      upstream.left();
    }
    const take = (entry: FeedEntry) => this.log.append([entry]);
    for (const [name, member] of wanted) {
      const upstream = this.#upstreams.get(name);
      if (upstream) upstream.update(member);
      else {
        const delayMs = Math.random() * wanted.size * OPEN_MS;
        const options = { client, members, take, ended: this.#ended, delayMs };
        this.#upstreams.set(name, new Upstream(member, options));
      }
    }
  }
}
