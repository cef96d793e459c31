/** Placing without a gateway: members from a watched list, the least loaded of them asked directly. The gateway itself works so. */
import type { Load } from "../../../openapi/errors.ts";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { SlotEvent } from "../../../openapi/events.ts";
import { isAtLeast } from "../../../openapi/limits.ts";
import type { ChildInfo, Count, PoolMember, Tasks } from "../../../openapi/resources.ts";
import type { ChildSpecInput } from "../../../openapi/spec.ts";
import { type Answer, type Client, neverSent, type RequestOptions } from "../http/client.ts";
import { readSlotEvents } from "../http/read-events.ts";
import { postSpec } from "../http/send-spec.ts";
import {
  type Access,
  type ChildFilter,
  ownerOf,
  type PlaceOptions,
  type PoolChildList,
  type PoolInfo,
  type PoolList,
  queryOf,
} from "./access.ts";
import type { Member, Members } from "./members.ts";
import type { OwnChild, OwnMember, SlotRequest } from "./own-member.ts";
import { type Admission, type PlacementPorts, place, sample } from "./place.ts";
import { placeOrWait, WAIT_AT, WAIT_AT_ALL_UP_TO } from "./wait-for-slot.ts";

/** A member that has taken a request and says nothing for so long is lost. */
const ADMIT_TIMEOUT_MS = 10_000;
/** How long a member may take to tell its load or its children for a listing. */
const LIST_TIMEOUT_MS = 2_000;
/** So many members are asked at once for a listing. */
const LIST_CONCURRENCY = 64;

/** Refusals of a member that has not what is to be run. */
const UNFIT = new Set(["task_not_found", "runtime_not_found"]);
/** Refusals that concern the caller: where no member says anything better, these are what it has to know. */
const CALLERS_OWN = new Set([...UNFIT, "unauthorized", "forbidden", "too_many_requests"]);

/** Refusals after which another member is tried: nothing was run. */
const TRY_ELSEWHERE = new Set([
  ...UNFIT,
  "at_capacity",
  "draining",
  "slot_not_found",
  "pool_not_found",
  "too_many_requests",
]);
/** Of these, the ones that tell of a member that is there. */
const FULL = new Set(["at_capacity", "draining"]);

export class DirectAccess<Own extends OwnChild = never> implements Access<Own> {
  readonly asksOwners = true;
  readonly #client: Client;
  readonly #members: Members;
  readonly #own: OwnMember<Own> | undefined;

  /** @param own the member of this process, which is asked without a connection. Default: none. */
  constructor(client: Client, members: Members, own?: OwnMember<Own>) {
    this.#client = client;
    this.#members = members;
    this.#own = own;
  }

  /** The same members, asked for a caller who shows this `Authorization`. */
  as<Child extends OwnChild = never>(
    authorization: string | undefined,
    own?: OwnMember<Child>,
  ): DirectAccess<Child> {
    return new DirectAccess(this.#client.as(authorization), this.#members, own);
  }

  call(pool: string, spec: ChildSpecInput, placing: PlaceOptions = {}): Promise<Answer | Own> {
    return this.#place(pool, spec, "/call", placing.accept ?? "text/event-stream", placing);
  }

  async placeChild(
    pool: string,
    spec: ChildSpecInput,
    placing: PlaceOptions = {},
  ): Promise<ChildInfo> {
    const placed = await this.#place(pool, spec, "/children", "application/json", placing);
    return "info" in placed ? placed.info : ((await placed.body.json()) as ChildInfo);
  }

  async pools(): Promise<PoolList> {
    const pools = new Map<string, { pool: string; members: number; max: number }>();
    for (const member of await this.#members.all()) {
      for (const [pool, max] of Object.entries(member.pools)) {
        const entry = pools.get(pool) ?? { pool, members: 0, max: 0 };
        entry.members += 1;
        entry.max += max;
        pools.set(pool, entry);
      }
    }
    return { pools: [...pools.values()].sort((a, b) => (a.pool < b.pool ? -1 : 1)) };
  }

  async pool(pool: string): Promise<PoolInfo> {
    const asked = await this.#each(pool, async (member) => {
      const own = this.#ownAt(member);
      if (own) return { load: own.load(pool), names: own.tasks(pool) };
      const signal = AbortSignal.timeout(LIST_TIMEOUT_MS);
      const names = this.#client
        .json<Tasks>(`${member.url}/tasks?pool=${encodeURIComponent(pool)}`, { signal })
        .catch(() => undefined);
      return { load: await this.#probe(member, pool, signal), names: await names };
    });
    const members = asked.map(
      ({ member, answer }): PoolMember => ({
        member: member.name,
        url: member.url,
        version: member.version,
        sandbox: member.sandbox,
        load: answer?.load ?? null,
      }),
    );
    const union = (key: "tasks" | "runtimes") =>
      [...new Set(asked.flatMap(({ answer }) => answer?.names?.[key] ?? []))].sort();
    return { pool, members, tasks: union("tasks"), runtimes: union("runtimes") };
  }

  async children(pool: string, filter: ChildFilter = {}): Promise<PoolChildList> {
    const query = queryOf(filter, [["pool", pool]]);
    const lists = await this.#each(pool, async (member) => {
      const own = this.#ownAt(member);
      if (own) return { children: own.children(pool, filter) };
      return this.#client.json<{ children: readonly ChildInfo[] }>(
        `${member.url}/children${query}`,
        {
          signal: AbortSignal.timeout(LIST_TIMEOUT_MS),
        },
      );
    });
    return {
      children: lists.flatMap(({ answer }) => answer?.children ?? []),
      unreachable: lists.filter(({ answer }) => answer === null).map(({ member }) => member.name),
    };
  }

  async childUrl(id: string): Promise<string> {
    const owner = ownerOf(id);
    const member = await this.#members.find(owner);
    if (!member)
      throw PoolError.of(
        "child_not_found",
        `no member is called ${owner}, so there is no child ${id}`,
      );
    return `${member.url}/children/${id}`;
  }

  async drain(): Promise<Count> {
    throw PoolError.of(
      "invalid_request",
      "expected the url of the member that is to drain; got a pool in Consul",
    );
  }

  close(): void {
    this.#members.close();
  }

  async #place(
    pool: string,
    spec: ChildSpecInput,
    path: string,
    accept: NonNullable<RequestOptions["accept"]>,
    { signal, onPosition, parts }: PlaceOptions,
  ): Promise<Answer | Own> {
    // Both are fixed once, here at the door; what is passed on is the remainder.
    const deadlineAt =
      spec.deadlineMs === undefined ? undefined : performance.now() + spec.deadlineMs;
    const waitMs = Math.min(spec.waitMs ?? 0, spec.deadlineMs ?? Number.POSITIVE_INFINITY);
    const remainder = (): { deadlineMs?: number } => {
      if (deadlineAt === undefined) return {};
      const deadlineMs = Math.ceil(deadlineAt - performance.now());
      if (deadlineMs <= 0)
        throw PoolError.of(
          "deadline_exceeded",
          `the deadline of ${spec.deadlineMs} ms passed before a member admitted`,
        );
      return { deadlineMs };
    };
    /** What members said that have not what is to be run: they are not asked again. */
    const unfit = new Map<string, PoolError>();
    const members = async () => {
      const all = heldBy(spec.sandbox, pool, await this.#members.in(pool));
      const fit = all.filter(({ name }) => !unfit.has(name));
      const [said] = unfit.values();
      if (said && fit.length === 0) throw said;
      return fit;
    };
    const probe = (member: Member, probeSignal: AbortSignal) =>
      this.#probe(member, pool, signal ? AbortSignal.any([probeSignal, signal]) : probeSignal);
    const admit = async (member: Member, slot?: string): Promise<Admission<Answer | Own>> => {
      signal?.throwIfAborted();
      // It may have begun to leave since the list was read: what is sent to a port that is being closed may get lost on the way.
      if (!(await this.#members.in(pool)).some(({ name }) => name === member.name))
        return { unreachable: `member ${member.name} has left the pool` };
      const now = { ...spec, ...remainder(), waitMs: 0 };
      const own = this.#ownAt(member);
      const lifetime = path === "/call" ? "call" : "placed";
      const body = { ...now, pool, slot };
      let answer: Answer | Own | PoolError;
      try {
        answer = own
          ? await own.admit({ pool, spec: now, lifetime, slot })
          : await postSpec(this.#client, `${member.url}${path}`, body, {
              parts,
              accept,
              signal,
              timeoutMs: ADMIT_TIMEOUT_MS,
            });
      } catch (error) {
        if (own || signal?.aborted) throw error;
        if (neverSent(error)) return { unreachable: error };
        throw PoolError.of(
          "member_lost",
          `member ${member.name} was lost while it may have admitted the child: ${messageOf(error)}`,
          { cause: error },
        );
      }
      if (!(answer instanceof PoolError)) return { admitted: answer };
      if (!TRY_ELSEWHERE.has(answer.code)) throw answer;
      if (UNFIT.has(answer.code)) unfit.set(member.name, answer);
      return FULL.has(answer.code) ? { full: true } : { unreachable: answer };
    };
    const placed = placeOrWait<Answer | Own>(
      {
        tryNow: async (effort) =>
          place(pool, await members(), { probe, admit: (member) => admit(member), effort }),
        choose: async (waits) => shortestQueues(await members(), WAIT_AT - waits, probe),
        request: (member, ms, left) =>
          this.#requestSlot(member, { pool, waitMs: ms, sandbox: spec.sandbox }, left),
        claim: admit,
        onPosition,
      },
      { pool, waitMs, signal },
    );
    return placed.catch((error: unknown) => {
      // The wait may have been cut short by the deadline.
      if (error instanceof PoolError && error.code === "queue_timeout") remainder();
      throw refusalIn((error as Error).cause) ?? error;
    });
  }

  async *#requestSlot(
    member: Member,
    body: SlotRequest,
    signal: AbortSignal,
  ): AsyncGenerator<SlotEvent, void, undefined> {
    const own = this.#ownAt(member);
    if (own) return yield* own.requestSlot(body, signal);
    const answer = await this.#client.send(`${member.url}/slots`, {
      method: "POST",
      body,
      accept: "text/event-stream",
      signal,
    });
    if (answer.statusCode !== 200) throw await this.#client.problem(answer);
    yield* readSlotEvents(answer.body);
  }

  async #probe(member: Member, pool: string, signal: AbortSignal): Promise<Load> {
    const own = this.#ownAt(member);
    if (own) return own.load(pool);
    const count = await this.#client.json<Count>(`${member.url}/children/count`, { signal });
    const load = count.pools && Object.hasOwn(count.pools, pool) ? count.pools[pool] : undefined;
    if (!load)
      throw PoolError.of("pool_not_found", `member ${member.name} does not serve pool ${pool}`);
    return load;
  }

  #ownAt({ name }: Member): OwnMember<Own> | undefined {
    return name === this.#own?.name ? this.#own : undefined;
  }

  /** Asks every member of a pool, so many at a time. Null for those that did not answer. */
  async #each<T>(
    pool: string,
    ask: (member: Member) => Promise<T>,
  ): Promise<{ readonly member: Member; readonly answer: T | null }[]> {
    const members = await this.#members.in(pool);
    if (members.length === 0) throw PoolError.of("pool_not_found", `no member serves pool ${pool}`);
    const answers: { member: Member; answer: T | null }[] = [];
    let refusal: PoolError | undefined;
    const askOne = async (member: Member) => {
      const answer = await ask(member).catch((error: unknown) => {
        refusal = refusalIn(error) ?? refusal;
        return null;
      });
      return { member, answer };
    };
    for (let from = 0; from < members.length; from += LIST_CONCURRENCY) {
      answers.push(
        ...(await Promise.all(members.slice(from, from + LIST_CONCURRENCY).map(askOne))),
      );
    }
    if (refusal && answers.every(({ answer }) => answer === null)) throw refusal;
    return answers;
  }
}

function refusalIn(error: unknown): PoolError | undefined {
  return error instanceof PoolError && CALLERS_OWN.has(error.code) ? error : undefined;
}

/** So many of the members to wait at; of a small pool all. */
async function shortestQueues(
  members: readonly Member[],
  count: number,
  probe: PlacementPorts<unknown>["probe"],
): Promise<readonly Member[]> {
  if (members.length <= WAIT_AT_ALL_UP_TO) return members;
  if (count <= 0) return [];
  return (await sample(members, probe))
    .sort((a, b) => a.load.queued / a.load.max - b.load.queued / b.load.max)
    .slice(0, count)
    .map(({ member }) => member);
}

/** Those of the members that hold their children by the level demanded, or a stronger one. */
function heldBy(
  demanded: ChildSpecInput["sandbox"],
  pool: string,
  members: readonly Member[],
): readonly Member[] {
  if (demanded === undefined || members.length === 0) return members;
  const strong = members.filter(({ sandbox }) => isAtLeast(sandbox, demanded));
  if (strong.length > 0) return strong;
  const levels = [...new Set(members.map(({ sandbox }) => sandbox))].join(", ");
  throw PoolError.of(
    "no_members_available",
    `pool ${pool}: expected a member of sandbox level ${demanded} or stronger; its ${members.length} have ${levels}`,
  );
}
