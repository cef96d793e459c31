/** The feed of one other member, read for those who watch here, and the state that it tells. */
import { PoolError } from "../../../openapi/errors.ts";
import { HEARTBEAT_MS } from "../../../openapi/events.ts";
import { LAST_EVENT_HEADER, REQUEST_HEADER } from "../../../openapi/names.ts";
import type { FeedEvent } from "../../../openapi/schemas/state/feed.ts";
import { frames } from "../../../sdk/typescript/http/read-events.ts";
import type { Members, RegisteredMember } from "../../../sdk/typescript/placement/members.ts";
import { pause } from "../../../sdk/typescript/time/pause.ts";
import { afterSilence } from "../../../sdk/typescript/time/silence.ts";
import {
  childEntry,
  type FeedEntry,
  type MemberEvent,
  markEntry,
  memberEntry,
  poolEntry,
} from "../../supervisor/feed/entry.ts";
import type { OtherMembers } from "../remote/through.ts";

/** 250 ms pass before the first try to reach a member again; at most 5 s before a later one. */
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 5_000;
/** 30 s, three heartbeats: a member that sends nothing for so long does not answer. */
const SILENCE_MS = 3 * HEARTBEAT_MS;
/** 2,000 children that have ended are shown to a new reader, of all other members together. */
const MAX_ENDED = 2_000;

/** The answers of a member that lives and tells nothing, with the detail that readers get. */
const REFUSALS: ReadonlyMap<string, string> = new Map([
  ["not_found", "its version has no feed"],
  ["unauthorized", "it does not accept the caller's token"],
  ["forbidden", "it does not let the caller watch"],
  ["too_many_requests", "it has too many requests of the caller"],
]);

export interface UpstreamOptions extends Pick<OtherMembers, "client"> {
  readonly members: Members;
  /** Takes each event, in order. */
  readonly take: (entry: FeedEntry) => void;
  /** The children that have ended, of all members together: the oldest ones are forgotten first. */
  readonly ended: Map<string, Upstream>;
  /** The first connection is opened in this many milliseconds: not all of them at once. */
  readonly delayMs: number;
}

export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #stop = new AbortController();
  /** The member as the registry shows it. */
  #member: RegisteredMember;
  /** The member's own facts; undefined before it told them. */
  #facts: MemberEvent | undefined;
  /** The facts that readers have. */
  #shown: FeedEntry | undefined;
  readonly #pools = new Map<string, FeedEntry>();
  readonly #children = new Map<string, FeedEntry>();
  #lastId: string | undefined;
  readonly #settle = Promise.withResolvers<void>();
  /** Resolves when the member's state is known, or that it does not tell it. */
  readonly settled = this.#settle.promise;

  constructor(member: RegisteredMember, options: UpstreamOptions) {
    this.#member = member;
    this.#options = options;
    void this.#run();
  }

  update(member: RegisteredMember): void {
    this.#member = member;
  }

  *state(): Generator<FeedEntry, void, undefined> {
    if (this.#shown) yield this.#shown;
    // A reader may take them more slowly than children come.
    yield* [...this.#pools.values(), ...this.#children.values()];
  }

  /** The member is no longer registered. */
  left(): void {
    this.close();
    this.#show({ ...this.#described(), state: "left" });
  }

  close(): void {
    this.#stop.abort();
    this.#settle.resolve();
    this.#clear();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    await pause(this.#options.delayMs, signal).catch(() => {});
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; ) {
      try {
        const connection = new AbortController();
        const bytes = await this.#open(AbortSignal.any([signal, connection.signal]));
        for await (const { id, data } of frames(lively(bytes, () => connection.abort()))) {
          pauseMs = FIRST_PAUSE_MS;
          this.#take(JSON.parse(data));
          this.#lastId = id ?? this.#lastId;
        }
        throw new Error("its feed has ended");
      } catch (error) {
        if (signal.aborted) return;
        await this.#silent(error);
      }
      this.#settle.resolve();
      await pause(pauseMs * (0.5 + Math.random()), signal).catch(() => {});
      pauseMs = Math.min(MAX_PAUSE_MS, 2 * pauseMs);
    }
  }

  async #open(signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { client, members } = this.#options;
    const { name } = this.#member;
    const member = await members.find(name);
    if (!member) throw new Error(`member ${name} is no longer registered`);
    const answer = await client.send(`${member.url}/events?member=${name}`, {
      accept: "text/event-stream",
      member: name,
      signal,
      headers: {
        [REQUEST_HEADER]: "feed",
        ...(this.#lastId !== undefined && { [LAST_EVENT_HEADER]: this.#lastId }),
      },
    });
    if (answer.status !== 200) throw await client.problem(answer);
    // A feed that resumes does not tell again what has not changed.
    if (this.#facts && this.#shown?.event !== this.#facts) this.#show(this.#facts);
    return answer.body;
  }

  #take(event: FeedEvent): void {
    const { name } = this.#member;
    const { take } = this.#options;
    if (event.type === "reset" || event.type === "synced") {
      if (event.type === "reset") this.#clear();
      else this.#settle.resolve();
      const pools = { ...this.#facts?.pools, ...this.#member.pools };
      take(markEntry(event.type, name, Object.keys(pools)));
    } else if (event.type === "member") {
      this.#facts = { ...event, member: name };
      for (const [key, { pool = "" }] of this.#pools)
        if (!Object.hasOwn(event.pools, pool)) this.#pools.delete(key);
      this.#show(this.#facts);
    } else if (event.type === "load" || event.type === "queue") {
      const entry = poolEntry({ ...event, member: name });
      this.#pools.set(`${event.type} ${event.pool}`, entry);
      take(entry);
    } else if (event.type === "child") {
      const { type: _, ...change } = event;
      this.#takeChild(childEntry(change));
    }
  }

  #takeChild(entry: FeedEntry): void {
    const { id, status } = entry.child as NonNullable<FeedEntry["child"]>;
    this.#children.set(id, entry);
    const { ended, take } = this.#options;
    if (status === "ended") ended.set(id, this);
    for (const [oldest, upstream] of ended) {
      if (ended.size <= MAX_ENDED) break;
      ended.delete(oldest);
      upstream.#children.delete(oldest);
    }
    take(entry);
  }

  #show(event: MemberEvent): void {
    this.#shown = memberEntry(event);
    this.#options.take(this.#shown);
  }

  /** Shows what is known of a member whose feed has failed. */
  async #silent(error: unknown): Promise<void> {
    const { members } = this.#options;
    const list = await members.registered().catch(() => [this.#member]);
    const registered = list.find(({ name }) => name === this.#member.name);
    // Readers learn from the list of members that it has left.
    if (!registered || this.#stop.signal.aborted) return;
    this.#member = registered;
    const { state, drainEndsAt } = registered;
    const refusal = error instanceof PoolError ? REFUSALS.get(error.code) : undefined;
    // A member that drains ends its feed, and leaves a moment later.
    if (!refusal && state === "draining" && this.#facts?.state === "draining") return;
    const shown = refusal
      ? { state, detail: refusal, ...(drainEndsAt !== undefined && { drainEndsAt }) }
      : { state: "lost" as const, detail: "it does not answer" };
    const { event } = this.#shown ?? {};
    if (event?.state === shown.state && event.detail === shown.detail) return;
    this.#show({ ...this.#described(), ...shown });
  }

  /** The member as it was last known. */
  #described(): Omit<MemberEvent, "state"> {
    const { name, url, version, sandbox, pools } = this.#member;
    return { type: "member", member: name, url, version, sandbox, pools: { ...pools } };
  }

  #clear(): void {
    for (const id of this.#children.keys()) this.#options.ended.delete(id);
    this.#children.clear();
    this.#pools.clear();
  }
}

/** Hands on the bytes of a stream. @param late is called when none came for {@link SILENCE_MS}. */
async function* lively(
  bytes: AsyncIterable<Uint8Array>,
  late: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let cancel = afterSilence(SILENCE_MS, late);
  try {
    for await (const chunk of bytes) {
      cancel();
      yield chunk;
      cancel = afterSilence(SILENCE_MS, late);
    }
  } finally {
    cancel();
  }
}
