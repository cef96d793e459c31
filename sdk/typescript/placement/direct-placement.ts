/** One call's way to a member: it asks the members of the pool itself, without a gateway. */
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import { isAtLeast } from "../../../openapi/limits.ts";
import type { ChildSpecInput } from "../../../openapi/spec.ts";
import { type Answer, neverSent, type RequestOptions } from "../http/client.ts";
import { Deadline } from "../time/deadline.ts";
import type { PlaceOptions } from "./access.ts";
import type { AdmitOptions, MemberClient, PlacingPath } from "./member-client.ts";
import type { Member, Members } from "./members.ts";
import type { OwnChild } from "./own-member.ts";
import { type Admission, place } from "./place.ts";
import { type Probe, sample } from "./sample.ts";
import { placeOrWait, WAIT_AT, WAIT_AT_ALL_UP_TO, type WaitingPorts } from "./wait-for-slot.ts";

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

export interface PoolMembers<Own extends OwnChild> {
  readonly members: Members;
  readonly client: MemberClient<Own>;
}

/**
 * Places a child, and resolves to the open answer of its member, or to a child of this process. The
 * deadline of the spec starts
 * here, and covers the wait for a slot.
 *
 * @throws {PoolError} `deadline_exceeded` before a member admits; `member_lost` when a member was
 *   lost while it may have admitted; the errors of `placeOrWait`; a refusal that concerns the
 *   caller.
 */
export async function placeDirectly<Own extends OwnChild>(
  { members, client }: PoolMembers<Own>,
  request: PlacementRequest,
): Promise<Answer | Own> {
  const { pool, spec, signal, onPosition } = request;
  const { waitMs = 0, deadlineMs = Number.POSITIVE_INFINITY, sandbox } = spec;
  const deadline = new Deadline(spec.deadlineMs);
  /** The refusals of members that lack the task or the runtime, which are not asked again. */
  const unfit = new Map<string, PoolError>();

  const candidates = async (): Promise<readonly Member[]> => {
    const strong = strongEnough(pool, sandbox, await members.in(pool));
    const fit = strong.filter(({ name }) => !unfit.has(name));
    const [refusal] = unfit.values();
    if (refusal && fit.length === 0) throw refusal;
    return fit;
  };
  const probe: Probe = (member, timeout) =>
    client.load(member, pool, signal ? AbortSignal.any([timeout, signal]) : timeout);
  const admit = async (member: Member, slot?: string): Promise<Admission<Answer | Own>> => {
    signal?.throwIfAborted();
    // The member may have begun to leave. A request to a port that closes could get lost, and then
    // nobody knows whether it was admitted.
    if (!(await members.in(pool)).some(({ name }) => name === member.name))
      return { unreachable: `member ${member.name} has left the pool` };
    const rest = { ...remainderOf(deadline, spec), waitMs: 0, pool, ...(slot && { slot }) };
    const admission = await tryMember(client, member, { ...request, spec: { ...spec, ...rest } });
    const refusal = "unreachable" in admission ? admission.unreachable : undefined;
    if (refusal instanceof PoolError && UNFIT.has(refusal.code)) unfit.set(member.name, refusal);
    return admission;
  };
  const ports: WaitingPorts<Answer | Own> = {
    tryNow: async (effort) => place(pool, await candidates(), { probe, admit, effort }),
    choose: async (waits) => shortestQueues(await candidates(), WAIT_AT - waits, probe),
    request: (member, ms, leaving) =>
      client.requestSlot(member, { pool, waitMs: ms, sandbox }, leaving),
    claim: ({ member, slot }) => admit(member, slot),
    onPosition,
  };
  try {
    return await placeOrWait(ports, { pool, waitMs: Math.min(waitMs, deadlineMs), signal });
  } catch (error) {
    // The deadline may have cut the wait short.
    if (error instanceof PoolError && error.code === "queue_timeout") remainderOf(deadline, spec);
    throw refusalIn((error as Error).cause) ?? error;
  }
}

/** The rest of the deadline for the spec. @throws {PoolError} `deadline_exceeded`. */
function remainderOf(deadline: Deadline, { deadlineMs }: ChildSpecInput): { deadlineMs?: number } {
  if (deadline.hasPassed)
    throw PoolError.of(
      "deadline_exceeded",
      `the deadline of ${deadlineMs} ms passed before a member admitted`,
    );
  return deadline.forSpec;
}

/** Asks one member to admit the child: the only step that can start it. */
async function tryMember<Own extends OwnChild>(
  client: MemberClient<Own>,
  member: Member,
  options: AdmitOptions,
): Promise<Admission<Answer | Own>> {
  let answer: Answer | Own | PoolError;
  try {
    answer = await client.admit(member, options);
  } catch (error) {
    if (options.signal?.aborted || client.ownAt(member)) throw error;
    if (neverSent(error)) return { unreachable: error };
    throw PoolError.of(
      "member_lost",
      `member ${member.name} was lost while it may have admitted the child: ${messageOf(error)}`,
      { cause: error },
    );
  }
  if (!(answer instanceof PoolError)) return { admitted: answer };
  if (!TRY_ELSEWHERE.has(answer.code)) throw answer;
  return FULL.has(answer.code) ? { full: true } : { unreachable: answer };
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
