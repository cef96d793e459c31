/** One call's way to a member: it asks the members of the pool itself, without a gateway. */
import { isErrorCode, messageOf, PoolError } from "../../../openapi/errors.ts";
import { neverSent } from "../http/faults.ts";
import { Deadline } from "../time/deadline.ts";
import { fitting } from "./choice/fitting.ts";
import { healthIn } from "./choice/health.ts";
import type { Probe } from "./choice/probes.ts";
import type { AdmissionRequest, MemberClient } from "./member-client.ts";
import { type Member, type Members, nobodyIn } from "./members.ts";
import { type Admission, place, shortestQueues } from "./place.ts";
import { placeOrWait } from "./wait-for-slot.ts";

/** In a large pool, the caller waits at the 2 members with the shortest queues of a sample. */
const WAIT_AT = 2;

/** Refusals of a member that lacks the task or the runtime, or cannot start the child. */
const UNFIT = new Set(["task_not_found", "runtime_not_found", "sandbox_unavailable"]);
/** Refusals that concern the caller. The caller gets one when no member answers better. */
const ABOUT_CALLER = new Set([...UNFIT, "unauthorized", "forbidden", "too_many_requests"]);
/** Refusals of a member that has no slot to give now. */
const FULL = new Set(["at_capacity", "draining", "fenced"]);
/** Refusals after which another member is tried, beside those that say that nothing was run. */
const TRY_ELSEWHERE = new Set([...UNFIT, ...FULL, "slot_not_found", "pool_not_found"]);

/** The members of the pools, and the way to ask each of them. */
export interface Directory<Admitted> {
  readonly members: Members;
  clientOf(member: Member): MemberClient<Admitted>;
}

/** The members that cannot serve one call, which are not asked again. */
class Unfit {
  readonly #refusals = new Map<string, PoolError>();

  refusalOf({ name }: Member): PoolError | undefined {
    return this.#refusals.get(name);
  }

  /** Notes a refusal that would come again. A code of a newer member may mean that. */
  note({ name }: Member, refusal: unknown): void {
    if (!(refusal instanceof PoolError)) return;
    if (UNFIT.has(refusal.code) || !isErrorCode(refusal.code)) this.#refusals.set(name, refusal);
  }

  /** @throws {PoolError} the first refusal, when no other member is left. */
  othersOf(members: readonly Member[]): readonly Member[] {
    const others = members.filter(({ name }) => !this.#refusals.has(name));
    const [refusal] = this.#refusals.values();
    if (refusal && others.length === 0) throw refusal;
    return others;
  }
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
  const unfit = new Unfit();
  const candidates = async () => unfit.othersOf(fitting(pool, spec, await members.in(pool)));
  const health = healthIn(members, pool);
  const probe: Probe = (member, timeout) => {
    const either = signal ? AbortSignal.any([timeout, signal]) : timeout;
    return health.timed(member, () => clientOf(member).load(pool, either));
  };
  const admit = async (member: Member, slot?: string): Promise<Admission<Admitted>> => {
    signal?.throwIfAborted();
    // The member may have begun to leave. A request to a port that closes could get lost, and then
    // nobody knows whether it was admitted.
    if (!(await members.in(pool)).some(({ name }) => name === member.name))
      return { unreachable: `member ${member.name} has left the pool` };
    const before = unfit.refusalOf(member);
    if (before) return { unreachable: before };
    const remaining = { ...spec, ...remainder(), waitMs: 0 };
    const asked = tryMember(clientOf(member), { ...request, spec: remaining, slot });
    const admission = await health.noted(member, asked);
    if ("unreachable" in admission) unfit.note(member, admission.unreachable);
    return admission;
  };
  try {
    return await placeOrWait(
      {
        tryNow: async (effort) => {
          const fit = await candidates();
          // A caller that waits already goes on waiting: the members may be about to be back.
          if (fit.length === 0 && effort !== "sample") throw await nobodyIn(pool, members);
          return place(pool, fit, { probe, admit, effort, mayTry: health.mayTry });
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

/** Asks one member to admit the child: the only step that can start it. */
async function tryMember<Admitted>(
  member: MemberClient<Admitted>,
  request: AdmissionRequest,
): Promise<Admission<Admitted>> {
  try {
    const answer = await member.admit(request);
    if (!(answer instanceof PoolError)) return { admitted: answer };
    if (FULL.has(answer.code)) return { full: true };
    if (mayTryElsewhere(answer)) return { unreachable: answer };
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

/**
 * Whether a refusal says that nothing was run, or its code does. A code of a newer member says
 * nothing, but a refused admission runs nothing unless it says otherwise.
 */
function mayTryElsewhere({ code, admitted }: PoolError): boolean {
  if (admitted === true || admitted === "unknown") return false;
  return admitted === false || TRY_ELSEWHERE.has(code) || !isErrorCode(code);
}

/** The error itself, if it is a refusal that concerns the caller, or has a newer member's code. */
export function refusalIn(error: unknown): PoolError | undefined {
  if (!(error instanceof PoolError)) return undefined;
  return ABOUT_CALLER.has(error.code) || !isErrorCode(error.code) ? error : undefined;
}
