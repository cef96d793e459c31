/** The feed of one other member, read for those who watch here, and the state that it tells. */
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import { LAST_EVENT_HEADER, REQUEST_HEADER } from "../../../openapi/names.ts";
import type { FeedEvent } from "../../../openapi/schemas/state/feed.ts";
import { frames } from "../../../sdk/typescript/http/read-events.ts";
import type { Member, Members } from "../../../sdk/typescript/placement/members.ts";
import { pause } from "../../../sdk/typescript/time/pause.ts";
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

export interface UpstreamOptions extends Pick<OtherMembers, "client"> {
  readonly members: Members;
  /** Takes each event, in order. */
  readonly take: (entry: FeedEntry) => void;
  readonly ended: EndedChildren;
  /** The first connection is opened in this many milliseconds: not all of them at once. */
  readonly delayMs: number;
}

/** The children that have ended, of all members together: the oldest ones are forgotten first. */
export class EndedChildren {
  readonly #forget = new Map<string, () => void>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  add(id: string, forget: () => void): void {
    this.#forget.set(id, forget);
    for (const [oldest, run] of this.#forget) {
      if (this.#forget.size <= this.#max) return;
      this.#forget.delete(oldest);
      run();
    }
  }

  delete(id: string): void {
    this.#forget.delete(id);
  }
}

export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #stop = new AbortController();
  /** The member as the registry shows it. */
  #member: Member;
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

  constructor(member: Member, options: UpstreamOptions) {
    this.#member = member;
    this.#options = options;
    void this.#run();
  }

  update(member: Member): void {
    this.#member = member;
  }

  *state(): Generator<FeedEntry, void, undefined> {
    if (this.#shown) yield this.#shown;
    yield* this.#pools.values();
    yield* this.#children.values();
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
        for await (const { id, data } of frames(await this.#open())) {
          pauseMs = FIRST_PAUSE_MS;
          this.#take(JSON.parse(data));
          this.#lastId = id ?? this.#lastId;
        }
        throw new Error("its feed has ended");
      } catch (error) {
        if (signal.aborted) return;
        this.#lost(error);
      }
      this.#settle.resolve();
      await pause(pauseMs * (0.5 + Math.random()), signal).catch(() => {});
      pauseMs = Math.min(MAX_PAUSE_MS, 2 * pauseMs);
    }
  }

  async #open(): Promise<AsyncIterable<Uint8Array>> {
    const { client, members } = this.#options;
    const { name } = this.#member;
    const member = (await members.find(name)) ?? this.#member;
    const answer = await client.send(`${member.url}/events?member=${name}`, {
      accept: "text/event-stream",
      member: name,
      signal: this.#stop.signal,
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
    if (event.type === "reset") {
      this.#clear();
      take(markEntry("reset", name));
    } else if (event.type === "synced") {
      take(markEntry("synced", name));
      this.#settle.resolve();
    } else if (event.type === "member") {
      this.#facts = { ...event, member: name };
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
    if (status === "ended") this.#options.ended.add(id, () => this.#children.delete(id));
    this.#options.take(entry);
  }

  #show(event: MemberEvent): void {
    this.#shown = memberEntry(event);
    this.#options.take(this.#shown);
  }

  #lost(error: unknown): void {
    // A member of an earlier version has no feed.
    const hasNone = error instanceof PoolError && error.code === "not_found";
    const detail = hasNone ? "its version has no feed" : messageOf(error);
    const state = hasNone ? "up" : "lost";
    const { event } = this.#shown ?? {};
    if (event?.state === state && event.detail === detail) return;
    this.#show({ ...this.#described(), state, detail });
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
