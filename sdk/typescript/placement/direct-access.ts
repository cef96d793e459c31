/** Access to pools without a gateway: from a watched list of members, each asked directly. */
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { Child as ChildInfo, Count } from "../../../openapi/types.gen.ts";
import { type Answer, type Client, jsonOf } from "../http/client.ts";
import type { ChildSpecInput } from "../http/send-spec.ts";
import {
  type Access,
  allChildren,
  type ChildFilter,
  ownerOf,
  type PlaceOptions,
  type PoolChildList,
  type PoolInfo,
  type PoolList,
} from "./access.ts";
import { type Directory, placeDirectly } from "./direct-placement.ts";
import { type MemberClient, RemoteMember } from "./member-client.ts";
import { factsOf, type Member, type Members, nobodyIn, type RegisteredMember } from "./members.ts";
import { keyOfChild, mergedPage, nextOf, type Page, type PageOf } from "./pages.ts";
import { refusalIn, type Tried } from "./try-member.ts";
import type { WaitingLine } from "./waiting/line.ts";

/** 2 seconds for a member's part of a listing. */
const LIST_TIMEOUT_MS = 2_000;
/** 64 members at a time are asked for a listing. */
const LIST_CONCURRENCY = 64;

/** A child that runs in this very process. */
interface OwnChild {
  readonly info: ChildInfo;
}

/** Who asks the members. */
interface Identity<Own> {
  /** The member of this process, which is asked without a connection. Default: none. */
  readonly own?: MemberClient<Own> | undefined;
  /** The caller's `Authorization`. Callers that share it wait in one line. Default: none. */
  readonly caller?: string;
  /** The lines of this process. */
  readonly lines?: Map<string, WaitingLine>;
  /** Learns the outcome of each request to one member for an admission. Default: nobody does. */
  readonly onTried?: ((outcome: Tried) => void) | undefined;
}

/** `Own` is a child of this process: only a member can place one there. */
export class DirectAccess<Own extends OwnChild = never> implements Access<Own> {
  readonly asksOwners = true;
  readonly #client: Client;
  readonly #directory: Directory<Answer | Own>;

  constructor(client: Client, members: Members, identity: Identity<Own> = {}) {
    this.#client = client;
    const { own, caller = "", lines = new Map(), onTried } = identity;
    const clientOf = (member: Member) =>
      own?.name === member.name ? own : new RemoteMember(member, client);
    this.#directory = { members, clientOf, own: own?.name, caller, lines, onTried };
  }

  /** The same members, asked for a caller with this `Authorization`. */
  as<Child extends OwnChild = never>(authorization: string | undefined, own?: MemberClient<Child>) {
    const { members, lines, onTried } = this.#directory;
    const caller = authorization ?? "";
    return new DirectAccess(this.#client.as(authorization), members, {
      own,
      caller,
      lines,
      onTried,
    });
  }

  call(pool: string, spec: ChildSpecInput, options: PlaceOptions = {}): Promise<Answer | Own> {
    const { accept = "text/event-stream" } = options;
    return placeDirectly(this.#directory, { ...options, pool, spec, lifetime: "call", accept });
  }

  async placeChild(
    pool: string,
    spec: ChildSpecInput,
    options: PlaceOptions = {},
  ): Promise<ChildInfo> {
    const request = { ...options, pool, spec, lifetime: "placed" } as const;
    const placed = await placeDirectly(this.#directory, request);
    if ("info" in placed) return placed.info;
    return jsonOf<ChildInfo>(placed, "id").catch((error: unknown) => {
      if (options.signal?.aborted) throw error;
      const detail = `the answer of the member that admitted was cut: ${messageOf(error)}`;
      throw PoolError.of("member_lost", detail, { admitted: true, cause: error });
    });
  }

  /** All pools, sorted by name, also those in which no member admits. */
  async pools(): Promise<PoolList> {
    const pools = new Map<string, Summary>();
    for (const { pools: served, state } of await this.#registered()) {
      for (const [pool, max] of Object.entries(served)) {
        const entry = pools.get(pool) ?? { pool, members: 0, max: 0, draining: 0, lost: 0 };
        if (state === "up") {
          entry.members += 1;
          entry.max += max;
        } else entry[state === "draining" ? "draining" : "lost"] += 1;
        pools.set(pool, entry);
      }
    }
    return { pools: [...pools.values()].sort((a, b) => (a.pool < b.pool ? -1 : 1)) };
  }

  async pool(pool: string): Promise<PoolInfo> {
    const ask = async (member: MemberClient<unknown>, signal: AbortSignal) => {
      const tasks = member.tasks(pool, signal).catch(() => undefined);
      return { load: await member.load(pool, signal), tasks: await tasks };
    };
    const list: Answered<Awaited<ReturnType<typeof ask>>>[] = [];
    for await (const batch of this.#askInBatches(pool, ask)) list.push(...batch);
    const members = list.map(({ member, answer }) => ({
      ...factsOf(member),
      load: answer?.load ?? null,
    }));
    const union = (key: "tasks" | "runtimes") =>
      [...new Set(list.flatMap(({ answer }) => answer?.tasks?.[key] ?? []))].sort();
    return { pool, members, tasks: union("tasks"), runtimes: union("runtimes") };
  }

  children(pool: string, filter: ChildFilter = {}): Promise<PoolChildList> {
    return allChildren((page) => this.childrenPage(pool, { ...filter, ...page }));
  }

  /** One page of the children of a pool, merged from a page of each member. */
  async childrenPage(pool: string, filter: ChildFilter & Page): Promise<PoolChildList> {
    const unreachable: string[] = [];
    const draining: NonNullable<PoolChildList["draining"]> = [];
    let merged: PageOf<ChildInfo> = { entries: [], nextCursor: undefined };
    // Each page is merged as it comes, so that few are held, and none takes long.
    const ask = async (member: MemberClient<unknown>, signal: AbortSignal) => {
      const page = await member.children(pool, filter, signal);
      merged = mergedPage([merged, page], { ...filter, keyOf: keyOfChild });
      return true;
    };
    for await (const batch of this.#askInBatches(pool, ask))
      for (const { member, answer } of batch) {
        const { name, state, drainEndsAt } = member;
        if (!answer) unreachable.push(name);
        if (state === "draining")
          draining.push({ member: name, ...(drainEndsAt && { drainEndsAt }) });
      }
    return { children: [...merged.entries], unreachable, draining, ...nextOf(merged) };
  }

  async childUrl(id: string) {
    const owner = ownerOf(id);
    const { members } = this.#directory;
    const member = await members.find(owner);
    if (!member) {
      const detail = `no member is called ${owner}, so there is no child ${id}`;
      throw (await members.refusal?.()) ?? PoolError.of("child_not_found", detail);
    }
    return `${member.url}/children/${id}`;
  }

  /** The URL of a member; undefined where none has this name. */
  async memberUrl(name: string): Promise<string | undefined> {
    return (await this.#directory.members.find(name))?.url;
  }

  /** The URLs of all members. */
  async urls(): Promise<string[]> {
    return (await this.#directory.members.all()).map(({ url }) => url);
  }

  async drain(): Promise<Count> {
    throw PoolError.of(
      "invalid_request",
      "expected the url of the member that is to drain; got a pool in Consul",
    );
  }

  close(): void {
    this.#directory.members.close();
  }

  /** The members that may be asked, also those that admit nothing. */
  async #registered(): Promise<readonly RegisteredMember[]> {
    const { members } = this.#directory;
    const registered = await members.registered();
    return registered.filter((member) => members.trusts?.(member) ?? true);
  }

  /**
   * Asks every member of a pool, also those that drain, are sick or are lost. The answer of a
   * member that fails or is slow is null, and one that says nothing counts as lost. A member that
   * has just left the pool is left out.
   *
   * @throws {PoolError} as {@link nobodyIn} without members; a refusal that concerns the caller,
   *   when no member answers.
   */
  async *#askInBatches<T>(pool: string, ask: Ask<T>): AsyncGenerator<Answered<T>[], void> {
    const { members, clientOf } = this.#directory;
    const all = (await this.#registered()).filter(({ pools }) => Object.hasOwn(pools, pool));
    if (all.length === 0) throw await nobodyIn(pool, members);
    let refusal: PoolError | undefined;
    let hasAnswer = false;
    const askOne = async (member: RegisteredMember): Promise<Answered<T>[]> => {
      try {
        const answer = await ask(clientOf(member), AbortSignal.timeout(LIST_TIMEOUT_MS));
        hasAnswer = true;
        return [{ member, answer }];
      } catch (error) {
        if (error instanceof PoolError && error.code === "pool_not_found") return [];
        refusal = refusalIn(error) ?? refusal;
        const hasSpoken = error instanceof PoolError && error.code !== "member_lost";
        return [{ member: hasSpoken ? member : silent(member), answer: null }];
      }
    };
    for (let from = 0; from < all.length; from += LIST_CONCURRENCY) {
      const batch = all.slice(from, from + LIST_CONCURRENCY);
      yield (await Promise.all(batch.map(askOne))).flat();
    }
    if (refusal && !hasAnswer) throw refusal;
  }
}

type Ask<T> = (member: MemberClient<unknown>, signal: AbortSignal) => Promise<T>;

type Summary = PoolList["pools"][number] & { draining: number; lost: number };

interface Answered<T> {
  readonly member: RegisteredMember;
  readonly answer: T | null;
}

/** The member as it stands when it does not answer. */
const silent = (member: RegisteredMember): RegisteredMember =>
  member.state === "lost" ? member : { ...member, state: "lost", detail: "it does not answer" };
