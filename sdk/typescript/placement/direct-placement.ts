/** One call's way to a member: it asks the members of the pool itself, without a gateway. */
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import { isAtLeast, MAX_WAIT_MS } from "../../../openapi/limits.ts";
import { neverSent } from "../http/faults.ts";
import type { ChildSpecInput } from "../http/send-spec.ts";
import { Deadline } from "../time/deadline.ts";
import type { AdmissionRequest, MemberClient } from "./member-client.ts";
import { type Member, type Members, nobodyIn } from "./members.ts";
import { type Admission, type Probe, place, shortestQueues, WAIT_AT_ALL_UP_TO } from "./place.ts";
import { placeOrWait } from "./wait-for-slot.ts";
import { WaitingLine } from "./waiting/line.ts";

/** In a large pool, a line waits at 2 members for each of its callers, those with short queues. */
const WAIT_AT = 2;
/** A day. Each caller has a time of its own; the members end the waits of no others. */
const LINE_WAIT_MS = MAX_WAIT_MS;

/** Refusals of a member that lacks the task or the runtime. */
const UNFIT = new Set(["task_not_found", "runtime_not_found"]);
/** Refusals that concern the caller. The caller gets one when no member answers better. */
const ABOUT_CALLER = new Set([
  ...UNFIT,
  "unauthorized",
  "forbidden",
  "too_many_requests",
  "overloaded",
]);
/** Refusals of a member that has no slot to give now. */
const FULL = new Set(["at_capacity", "draining", "fenced"]);
/** Refusals after which another member is tried, because nothing was run. */
const TRY_ELSEWHERE = new Set([
  ...UNFIT,
  ...FULL,
  "slot_not_found",
  "pool_not_found",
  "too_many_requests",
  "overloaded",
]);

/** The members of the pools, and the way to ask each of them. */
export interface Directory<Admitted> {
  readonly members: Members;
  clientOf(member: Member): MemberClient<Admitted>;
  /** Tells the caller from others, as the members do. */
  readonly caller: string;
  /** The lines in which callers of this process wait. */
  readonly lines: Map<string, WaitingLine>;
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
  directory: Directory<Admitted>,
  request: AdmissionRequest,
): Promise<Admitted> {
  const { members, clientOf } = directory;
  const { pool, spec, signal, leaving, onPosition } = request;
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
    // Throws where no member is left that is fit.
    if (unfit.size > 0) await candidates();
    return admission;
  };
  try {
    return await placeOrWait(
      {
        tryNow: async (effort) => {
          const fit = await candidates();
          if (fit.length === 0) throw await nobodyIn(pool, members);
          return place(pool, fit, { probe, admit, effort });
        },
        hasMembers: async () => (await candidates()).length > 0,
        line: () => lineOf(directory, pool, sandbox),
        claim: ({ member, slot }) => admit(member, slot),
        unfit,
        onPosition,
      },
      { pool, waitMs: Math.min(waitMs, deadlineMs), signal, leaving },
    );
  } catch (error) {
    // The deadline may have cut the wait short.
    if (error instanceof PoolError && error.code === "queue_timeout") remainder();
    throw refusalIn((error as Error | undefined)?.cause) ?? error;
  }
}

/** The line of the callers that share their token, the pool, and the demand for a sandbox. */
function lineOf<Admitted>(
  { members, clientOf, caller, lines }: Directory<Admitted>,
  pool: string,
  sandbox: ChildSpecInput["sandbox"],
): WaitingLine {
  const key = JSON.stringify([pool, sandbox, caller]);
  let line = lines.get(key);
  if (!line) {
    line = new WaitingLine({
      pool,
      choose: async (callers, subscriptions, isUseful) => {
        const strong = strongEnough(pool, sandbox, await members.in(pool));
        const useful = strong.filter(isUseful);
        if (strong.length <= WAIT_AT_ALL_UP_TO) return useful;
        const probe: Probe = (member, signal) => clientOf(member).load(pool, signal);
        return shortestQueues(useful, WAIT_AT * callers - subscriptions, probe);
      },
      open: (member, count, signal) =>
        clientOf(member).requestSlots({ pool, sandbox, waitMs: LINE_WAIT_MS, count }, signal),
      release: (member, slot) => clientOf(member).releaseSlot(pool, slot),
      onEmpty: () => void lines.delete(key),
    });
    lines.set(key, line);
  }
  return line;
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
      { cause: error },
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
