/** One call's way to a member: it asks the members of the pool itself, without a gateway. */
import { CapacityError, messageOf, PoolError } from "../../../openapi/errors.ts";
import { isAtLeast } from "../../../openapi/limits.ts";
import { neverSent } from "../http/faults.ts";
import type { ChildSpecInput } from "../http/send-spec.ts";
import { Deadline } from "../time/deadline.ts";
import type { AdmissionRequest, MemberClient } from "./member-client.ts";
import { type Member, type Members, nobodyIn } from "./members.ts";
import { type Admission, type Probe, place, shortestQueues, shuffled } from "./place.ts";
import { placeOrWait } from "./wait-for-slot.ts";

/** In a large pool, the caller waits at the 2 members with the shortest queues of a sample. */
const WAIT_AT = 2;

/** Refusals of a member that lacks the task or the runtime. */
const UNFIT = new Set(["task_not_found", "runtime_not_found"]);
/** Refusals that concern the caller. The caller gets one when no member answers better. */
const ABOUT_CALLER = new Set([...UNFIT, "unauthorized", "forbidden", "too_many_requests"]);
/** Refusals of a member that has no slot to give now. */
const FULL = new Set(["at_capacity", "draining", "fenced"]);
/** Refusals after which another member is tried, because nothing was run. */
const TRY_ELSEWHERE = new Set([
  ...UNFIT,
  ...FULL,
  "slot_not_found",
  "pool_not_found",
  "too_many_requests",
]);

/** The members of the pools, and the way to ask each of them. */
export interface Directory<Admitted> {
  readonly members: Members;
  clientOf(member: Member): MemberClient<Admitted>;
}

/**
 * Places a child at one of the members. The deadline of the spec starts here, and covers the wait
 * for a slot.
 *
 * @throws {PoolError} `pool_not_found` for a pool that nobody registered; `deadline_exceeded`
 *   before a member admits; `member_lost` when a member was
 *   lost while it may have admitted; the errors of `placeOrWait`; a refusal that concerns the
 *   caller.
 */
export async function placeDirectly<Admitted>(
  { members, clientOf }: Directory<Admitted>,
  request: AdmissionRequest,
): Promise<Admitted> {
  const { pool, spec, signal, onPosition } = request;
  const { waitMs = 0, deadlineMs = Number.POSITIVE_INFINITY, sandbox } = spec;
  const deadline = new Deadline(deadlineMs);
  const remainder = () => {
    if (!deadline.hasPassed) return deadline.forSpec;
    const detail = `the deadline of ${deadlineMs} ms passed before a member admitted`;
    throw PoolError.of("deadline_exceeded", detail);
  };
  /** The refusals of members that lack the task or the runtime, which are not asked again. */
  const unfit = new Map<string, PoolError>();

  const candidates = async () => {
    const strong = strongEnough(pool, sandbox, await members.in(pool));
    const fit = strong.filter(({ name }) => !unfit.has(name));
    const [refusal] = unfit.values();
    if (refusal && fit.length === 0) throw refusal;
    return fit;
  };
  const probe: Probe = (member, timeout) =>
    clientOf(member).load(pool, signal ? AbortSignal.any([timeout, signal]) : timeout);
  const admit = async (member: Member, slot?: string): Promise<Admission<Admitted>> => {
    signal?.throwIfAborted();
    // The member may have begun to leave. A request to a port that closes could get lost, and then
    // nobody knows whether it was admitted.
    if (!(await members.in(pool)).some(({ name }) => name === member.name))
      return { unreachable: `member ${member.name} has left the pool` };
    const remaining = { ...spec, ...remainder(), waitMs: 0 };
    const admission = await tryMember(clientOf(member), { ...request, spec: remaining, slot });
    const refusal = "unreachable" in admission ? admission.unreachable : undefined;
    if (refusal instanceof PoolError && UNFIT.has(refusal.code)) unfit.set(member.name, refusal);
    return admission;
  };
  try {
    return await placeOrWait(
      {
        tryNow: async (effort) => {
          const fit = await candidates();
          // A caller that waits already goes on waiting: the members may be about to be back.
          if (fit.length === 0 && effort !== "sample") throw await nobodyIn(pool, members);
          const placing = place(pool, fit, { probe, admit, effort });
          return spec.idempotencyKey === undefined ? placing : orStarted(placing, fit, admit);
        },
        choose: async (waits) => shortestQueues(await candidates(), WAIT_AT - waits, probe),
        request: (member, ms, leaving) =>
          clientOf(member).requestSlot({ pool, waitMs: ms, sandbox }, leaving),
        claim: ({ member, slot }) => admit(member, slot),
        onPosition,
      },
      { pool, waitMs: Math.min(waitMs, deadlineMs), signal },
    );
  } catch (error) {
    // The deadline may have cut the wait short.
    if (error instanceof PoolError && error.code === "queue_timeout") remainder();
    throw refusalIn((error as Error | undefined)?.cause) ?? error;
  }
}

/**
 * The child that a key has started needs no slot, so any member of a full pool answers with it.
 *
 * @throws the error of the placement where the key has started none.
 */
async function orStarted<T>(
  placing: Promise<T>,
  members: readonly Member[],
  admit: (member: Member) => Promise<Admission<T>>,
): Promise<T> {
  try {
    return await placing;
  } catch (error) {
    const [member] = shuffled(members);
    if (!(error instanceof CapacityError) || !member) throw error;
    const admission = await admit(member);
    if ("admitted" in admission) return admission.admitted;
    throw error;
  }
}

/** Asks one member to admit the child: the only step that can start it. */
async function tryMember<Admitted>(
  member: MemberClient<Admitted>,
  request: AdmissionRequest,
): Promise<Admission<Admitted>> {
  try {
    const answer = await member.admit(request);
    if (!(answer instanceof PoolError)) return { admitted: answer };
    if (FULL.has(answer.code)) return { full: true };
    if (TRY_ELSEWHERE.has(answer.code)) return { unreachable: answer };
    throw answer;
  } catch (error) {
    if (error instanceof PoolError || request.signal?.aborted) throw error;
    if (neverSent(error)) return { unreachable: error };
    throw PoolError.of(
      "member_lost",
      `member ${member.name} was lost while it may have admitted the child: ${messageOf(error)}`,
      { admitted: "unknown", cause: error },
    );
  }
}

/** The error itself, if it is a refusal that concerns the caller. */
export function refusalIn(error: unknown): PoolError | undefined {
  return error instanceof PoolError && ABOUT_CALLER.has(error.code) ? error : undefined;
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
