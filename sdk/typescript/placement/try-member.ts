/** One request to one member for an admission, and the meaning of its refusals. */
import { isErrorCode, messageOf, PoolError } from "../../../openapi/errors.ts";
import { neverSent } from "../http/faults.ts";
import type { AdmissionRequest, MemberClient } from "./member-client.ts";
import type { Admission } from "./search.ts";

/** Refusals of a member that lacks the task or the runtime, or cannot start the child. */
export const UNFIT = new Set(["task_not_found", "runtime_not_found", "sandbox_unavailable"]);
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
/** Refusals after which another member is tried, beside those that say that nothing was run. */
const TRY_ELSEWHERE = new Set([...UNFIT, ...FULL, "slot_not_found", "pool_not_found"]);

/** The outcome of a request to one member for an admission. */
export type Tried = "admitted" | "full" | "unreachable" | "failed";

/** Tells the outcome of a request once it is known. */
export async function told<T>(
  trying: Promise<Admission<T>>,
  onTried?: (outcome: Tried) => void,
): Promise<Admission<T>> {
  let outcome: Tried = "failed";
  try {
    const admission = await trying;
    outcome = "admitted" in admission ? "admitted" : "full" in admission ? "full" : "unreachable";
    return admission;
  } finally {
    onTried?.(outcome);
  }
}

/** Asks one member to admit the child: the only step that can start it. */
export async function tryMember<Admitted>(
  member: MemberClient<Admitted>,
  request: AdmissionRequest,
): Promise<Admission<Admitted>> {
  try {
    const answer = await member.admit(request);
    if (!(answer instanceof PoolError)) return { admitted: answer, load: member.loadIn?.(answer) };
    const { load } = answer.problem;
    if (answer.code === "at_capacity") return { full: true, load };
    if (FULL.has(answer.code)) return { full: true, closed: answer, load };
    if (mayTryElsewhere(answer)) return { unreachable: answer };
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
