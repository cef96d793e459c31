/** One call's way to a member: it asks the members of the pool itself, without a gateway. */
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import { isAtLeast } from "../../../openapi/limits.ts";
import type { ChildSpecInput } from "../../../openapi/spec.ts";
import { type Answer, neverSent, type RequestOptions } from "../http/client.ts";
import { Deadline } from "../time/deadline.ts";
import type { PlaceOptions } from "./access.ts";
import type { MemberClient, PlacingPath } from "./member-client.ts";
import type { Member, Members } from "./members.ts";
import { type Admission, place } from "./place.ts";
import { type Probe, sample } from "./sample.ts";
import { placeOrWait, WAIT_AT, WAIT_AT_ALL_UP_TO } from "./wait-for-slot.ts";

/** Refusals of a member that lacks the task or the runtime. */
const UNFIT = new Set(["task_not_found", "runtime_not_found"]);
/** Refusals that concern the caller. It is told of them when no member answers anything better. */
const ABOUT_CALLER = new Set([...UNFIT, "unauthorized", "forbidden", "too_many_requests"]);
/** Refusals of a member that has no slot to give now. */
const FULL = new Set(["at_capacity", "draining"]);
/** Refusals after which another member is tried, because nothing was run. */
const TRY_ELSEWHERE = new Set([
  ...UNFIT,
  ...FULL,
  "slot_not_found",
  "pool_not_found",
  "too_many_requests",
]);

export interface PlacementRequest extends Pick<PlaceOptions, "signal" | "onPosition" | "parts"> {
  readonly pool: string;
  readonly spec: ChildSpecInput;
  readonly path: PlacingPath;
  readonly accept: NonNullable<RequestOptions["accept"]>;
}

export class DirectPlacement {
  readonly #members: Members;
  readonly #client: MemberClient;
  readonly #request: PlacementRequest;
  readonly #deadline: Deadline;
  /** The refusals of members that lack the task or the runtime, which are not asked again. */
  readonly #unfit = new Map<string, PoolError>();

  /** The deadline of the spec starts here. */
  constructor(members: Members, client: MemberClient, request: PlacementRequest) {
    this.#members = members;
    this.#client = client;
    this.#request = request;
    this.#deadline = new Deadline(request.spec.deadlineMs);
  }

  /**
   * Places the child, and resolves to the open answer of its member.
   *
   * @throws {PoolError} `deadline_exceeded` before a member admits; `member_lost` when a member was
   *   lost while it may have admitted; the errors of `placeOrWait`; a refusal that concerns the
   *   caller.
   */
  async run(): Promise<Answer> {
    const { pool, spec, signal, onPosition } = this.#request;
    const { waitMs = 0, deadlineMs = Number.POSITIVE_INFINITY, sandbox } = spec;
    try {
      return await placeOrWait<Answer>(
        {
          tryNow: async (effort) =>
            place(pool, await this.#candidates(), {
              probe: this.#probe,
              admit: (member) => this.#admit(member),
              effort,
            }),
          choose: async (waits) =>
            shortestQueues(await this.#candidates(), WAIT_AT - waits, this.#probe),
          request: (member, ms, leaving) =>
            this.#client.requestSlot(member, { pool, waitMs: ms, sandbox }, leaving),
          claim: ({ member, slot }) => this.#admit(member, slot),
          onPosition,
        },
        { pool, waitMs: Math.min(waitMs, deadlineMs), signal },
      );
    } catch (error) {
      // The deadline may have cut the wait short.
      if (error instanceof PoolError && error.code === "queue_timeout") this.#remainder();
      throw refusalIn((error as Error).cause) ?? error;
    }
  }

  /** The rest of the deadline for the spec. @throws {PoolError} `deadline_exceeded`. */
  #remainder(): { deadlineMs?: number } {
    if (this.#deadline.hasPassed)
      throw PoolError.of(
        "deadline_exceeded",
        `the deadline of ${this.#request.spec.deadlineMs} ms passed before a member admitted`,
      );
    return this.#deadline.forSpec;
  }

  /** The members that may be able to run the child. */
  async #candidates(): Promise<readonly Member[]> {
    const { pool, spec } = this.#request;
    const strong = strongEnough(pool, spec.sandbox, await this.#members.in(pool));
    const fit = strong.filter(({ name }) => !this.#unfit.has(name));
    const [refusal] = this.#unfit.values();
    if (refusal && fit.length === 0) throw refusal;
    return fit;
  }

  readonly #probe: Probe = (member, timeout) => {
    const { pool, signal } = this.#request;
    return this.#client.load(member, pool, signal ? AbortSignal.any([timeout, signal]) : timeout);
  };

  /** Tries one member: the only step that can start the child. */
  async #admit(member: Member, slot?: string): Promise<Admission<Answer>> {
    const { pool, spec, path, accept, parts, signal } = this.#request;
    signal?.throwIfAborted();
    // The member may have begun to leave. A request to a port that closes could get lost, and then
    // nobody knows whether it was admitted.
    if (!(await this.#members.in(pool)).some(({ name }) => name === member.name))
      return { unreachable: `member ${member.name} has left the pool` };
    const memberSpec = { ...spec, ...this.#remainder(), waitMs: 0, pool, ...(slot && { slot }) };
    let answer: Answer | PoolError;
    try {
      answer = await this.#client.admit(member, { path, spec: memberSpec, accept, parts, signal });
    } catch (error) {
      if (signal?.aborted) throw error;
      if (neverSent(error)) return { unreachable: error };
      throw PoolError.of(
        "member_lost",
        `member ${member.name} was lost while it may have admitted the child: ${messageOf(error)}`,
        { cause: error },
      );
    }
    if (!(answer instanceof PoolError)) return { admitted: answer };
    if (!TRY_ELSEWHERE.has(answer.code)) throw answer;
    if (UNFIT.has(answer.code)) this.#unfit.set(member.name, answer);
    return FULL.has(answer.code) ? { full: true } : { unreachable: answer };
  }
}

/** The error itself, if it is a refusal that concerns the caller. */
export function refusalIn(error: unknown): PoolError | undefined {
  return error instanceof PoolError && ABOUT_CALLER.has(error.code) ? error : undefined;
}

/** The `count` members with the shortest queues of a sample; all members of a small pool. */
async function shortestQueues(
  members: readonly Member[],
  count: number,
  probe: Probe,
): Promise<readonly Member[]> {
  if (members.length <= WAIT_AT_ALL_UP_TO) return members;
  if (count <= 0) return [];
  return (await sample(members, probe))
    .toSorted((a, b) => a.load.queued / a.load.max - b.load.queued / b.load.max)
    .slice(0, count)
    .map(({ member }) => member);
}

/** The members whose sandbox has the demanded level, or a stronger one. */
function strongEnough(
  pool: string,
  demanded: ChildSpecInput["sandbox"],
  members: readonly Member[],
): readonly Member[] {
  if (demanded === undefined || members.length === 0) return members;
  const strong = members.filter(({ sandbox }) => isAtLeast(sandbox, demanded));
  if (strong.length > 0) return strong;
  const levels = [...new Set(members.map(({ sandbox }) => sandbox))].join(", ");
  throw PoolError.of(
    "no_members_available",
    `pool ${pool}: expected a member of sandbox level ${demanded} or stronger; ` +
      `its ${members.length} have ${levels}`,
  );
}
