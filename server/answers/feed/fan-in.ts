/** The feeds of the other members as one, for all readers with the same token. */
import { PoolError } from "../../../openapi/errors.ts";
import { randomDigits } from "../../../openapi/names.ts";
import type { Client } from "../../../sdk/typescript/http/client.ts";
import type { Member, Members } from "../../../sdk/typescript/placement/members.ts";
import type { FeedEntry } from "../../supervisor/feed/entry.ts";
import { FeedLog } from "../../supervisor/feed/log.ts";
import type { FeedSource } from "./source.ts";
import { EndedChildren, Upstream } from "./upstream.ts";

/** The list of members, which is in memory, is compared once a second. */
const LIST_MS = 1_000;
/** 1 ms for each member: 1,000 connections are opened in a second. */
const OPEN_MS = 1;
/** 60 s after its last reader, the connections are closed. A reader may resume until then. */
const LINGER_MS = 60_000;
/** 2,000 children that have ended are shown to a new reader, of all other members together. */
const MAX_ENDED = 2_000;
/** 4 Mi characters of events are kept for each caller. */
const LOG_CHARS = 4 * 1024 * 1024;
/** 16 callers may watch the other members at a time, through this one. */
const MAX_FAN_INS = 16;

interface FanInOptions {
  readonly client: Client;
  readonly members: Members;
  /** The name of this member, which is not asked. */
  readonly name: string;
}

/** Whose feeds are read: with this header, of all other members or of one. */
interface Wanted {
  readonly authorization: string | undefined;
  readonly member: string | undefined;
}

/** The fan-ins of this member, by what their readers want. */
export class FanIns {
  readonly #options: FanInOptions;
  readonly #open = new Map<string, FanIn>();

  constructor(options: FanInOptions) {
    this.#options = options;
  }

  /** @throws {PoolError} `too_many_requests` where 16 callers watch already. */
  of({ authorization, member }: Wanted): FanIn {
    const key = JSON.stringify([authorization ?? null, member ?? null]);
    let fanIn = this.#open.get(key);
    if (fanIn) return fanIn;
    if (this.#open.size >= MAX_FAN_INS)
      throw PoolError.of(
        "too_many_requests",
        `${MAX_FAN_INS} callers watch all members through this one already; ask another member`,
      );
    const client = this.#options.client.as(authorization);
    const onClose = () => this.#open.delete(key);
    fanIn = new FanIn({ ...this.#options, client }, member, onClose);
    this.#open.set(key, fanIn);
    return fanIn;
  }

  close(): void {
    for (const fanIn of this.#open.values()) fanIn.close();
  }
}

export class FanIn implements FeedSource {
  readonly log = new FeedLog(LOG_CHARS);
  readonly epoch = randomDigits();
  readonly #options: FanInOptions;
  readonly #only: string | undefined;
  readonly #onClose: () => void;
  readonly #upstreams = new Map<string, Upstream>();
  readonly #ended = new EndedChildren(MAX_ENDED);
  #list: readonly Member[] = [];
  #readers = 0;
  #listed: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;

  constructor(options: FanInOptions, only: string | undefined, onClose: () => void) {
    this.#options = options;
    this.#only = only;
    this.#onClose = onClose;
    this.#closeLater();
  }

  watch(): () => void {
    this.#readers += 1;
    clearTimeout(this.#linger);
    this.#listed ??= this.#update();
    this.#timer ??= setInterval(() => void this.#update(), LIST_MS).unref();
    return () => {
      this.#readers -= 1;
      if (this.#readers === 0) this.#closeLater();
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

  #closeLater(): void {
    this.#linger = setTimeout(() => this.close(), LINGER_MS).unref();
  }

  /** Reads the feeds of members that have come, and no more those of members that have left. */
  async #update(): Promise<void> {
    const { client, members, name: own } = this.#options;
    const list = await members.registered().catch(() => this.#list);
    if (list === this.#list || !this.#timer) return;
    this.#list = list;
    const wanted = new Map(
      list
        .filter(({ name }) => name !== own && (this.#only === undefined || name === this.#only))
        .map((member) => [member.name, member]),
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
