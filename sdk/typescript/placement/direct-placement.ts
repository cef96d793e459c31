/** One call's way to a member: it asks the members of the pool itself, without a gateway. */
import { CapacityError, isErrorCode, PoolError } from "../../../openapi/errors.ts";
import { MAX_WAIT_MS } from "../../../openapi/limits.ts";
import type { ChildSpecInput } from "../http/send-spec.ts";
import { Deadline } from "../time/deadline.ts";
import { demandsOf, fitting } from "./choice/fitting.ts";
import { healthIn } from "./choice/health.ts";
import { knownIn } from "./choice/known-loads.ts";
import type { Probe } from "./choice/probes.ts";
import { shuffled } from "./choice/samples.ts";
import type { AdmissionRequest, MemberClient } from "./member-client.ts";
import { type Member, type Members, nobodyIn } from "./members.ts";
import { place, shortestQueues, WAIT_AT_ALL_UP_TO } from "./place.ts";
import type { Admission, PlacementPorts } from "./search.ts";
import { refusalIn, type Tried, told, tryMember, UNFIT } from "./try-member.ts";
import { placeOrWait } from "./wait-for-slot.ts";
import { WaitingLine } from "./waiting/line.ts";

/** In a large pool, a line waits at 2 members for each of its callers, those with short queues. */
const WAIT_AT = 2;
/** A day. Each caller has a time of its own; the members end the waits of no others. */
const LINE_WAIT_MS = MAX_WAIT_MS;

/** The members of the pools, and the way to ask each of them. */
export interface Directory<Admitted> {
  readonly members: Members;
  clientOf(member: Member): MemberClient<Admitted>;
  /** The name of the member of this process, which is asked without a connection. */
  readonly own?: string | undefined;
  /** Tells the caller from others, as the members do. */
  readonly caller: string;
  /** The lines in which callers of this process wait. */
  readonly lines: Map<string, WaitingLine>;
  /** Learns the outcome of each request to one member for an admission. */
  readonly onTried?: ((outcome: Tried) => void) | undefined;
}

/** The members that cannot serve one call, with their refusals. They are not asked again. */
class Unfit extends Map<string, PoolError> {
  /** Notes a refusal that would come again. A code of a newer member may mean that. */
  note({ name }: Member, refusal: unknown): void {
    if (!(refusal instanceof PoolError)) return;
    if (UNFIT.has(refusal.code) || !isErrorCode(refusal.code)) this.set(name, refusal);
  }

  /** @throws {PoolError} the first refusal, when no other member is left. */
  othersOf(members: readonly Member[]): readonly Member[] {
    if (this.size === 0) return members;
    const others = members.filter(({ name }) => !this.has(name));
    const [refusal] = this.values();
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
  directory: Directory<Admitted>,
  request: AdmissionRequest,
): Promise<Admitted> {
  const { members, clientOf } = directory;
  const { pool, spec, signal, leaving, onPosition } = request;
  const { waitMs = 0, deadlineMs = Number.POSITIVE_INFINITY } = spec;
  const deadline = new Deadline(deadlineMs);
  const startedAt = performance.now();
  const unfit = new Unfit();
  const candidates = async () => unfit.othersOf(fitting(pool, spec, await members.in(pool)));
  const { mayTry, noted } = healthIn(members, pool);
  const known = knownIn(members, pool);
  const probe = probeOf(directory, request);
  const admit = async (member: Member, slot?: string): Promise<Admission<Admitted>> => {
    signal?.throwIfAborted();
    // The member may have begun to leave. A request to a port that closes could get lost, and then
    // nobody knows whether it was admitted.
    if (!(await members.in(pool)).some(({ name }) => name === member.name))
      return { unreachable: `member ${member.name} has left the pool` };
    if (unfit.has(member.name)) return { unreachable: unfit.get(member.name) };
    if (deadline.hasPassed) throw passedOf(deadlineMs);
    const remaining = { ...spec, ...deadline.forSpec, waitMs: 0 };
    const waitedMs = slot === undefined ? 0 : performance.now() - startedAt;
    const onEnd = () => known.ended(member.name, performance.now());
    const asked = { ...request, spec: remaining, slot, waitedMs, onEnd };
    const trying = told(tryMember(clientOf(member), asked), directory.onTried);
    const admission = await noted(member, trying);
    if (!("admitted" in admission)) request.onRefused?.(member.name, refusalOfTry(admission));
    if (admission.load) known.note(member.name, admission.load, performance.now());
    if ("unreachable" in admission) unfit.note(member, admission.unreachable);
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
          const own = ownOf(directory, pool, fit);
          const placing = place(pool, fit, { probe, admit, effort, mayTry, known, own });
          return spec.idempotencyKey === undefined ? placing : orStarted(placing, fit, admit);
        },
        hasMembers: async () => (await candidates()).length > 0,
        line: () => lineOf(directory, pool, spec),
        claim: ({ member, slot }) => admit(member, slot),
        unfit,
        onPosition,
      },
      { pool, waitMs: Math.min(waitMs, deadlineMs), signal, leaving },
    );
  } catch (error) {
    // The deadline cut the wait short. The timer may be a moment early.
    const isLate = error instanceof PoolError && error.code === "queue_timeout";
    if (isLate && deadlineMs <= waitMs) throw passedOf(deadlineMs);
    throw (await refusalOf(members, error)) ?? error;
  }
}

/** Asks a member for its load, and notes whether it answers in time. */
function probeOf<Admitted>(
  { members, clientOf }: Directory<Admitted>,
  { pool, signal }: AdmissionRequest,
): Probe {
  const health = healthIn(members, pool);
  return (member, timeout) => {
    const either = signal ? AbortSignal.any([timeout, signal]) : timeout;
    return health.timed(member, () => clientOf(member).load(pool, either));
  };
}

/** Why a member did not admit. Undefined for one that is at capacity. */
const refusalOfTry = (admission: Exclude<Admission<unknown>, { readonly admitted: unknown }>) =>
  "full" in admission ? admission.closed : admission.unreachable;

const passedOf = (deadlineMs: number) =>
  PoolError.of(
    "deadline_exceeded",
    `the deadline of ${deadlineMs} ms passed before a member admitted`,
  );

/**
 * The refusal behind an error: that of the registry where all members are away, because the list
 * may be old; or that of a member, which concerns the caller.
 */
async function refusalOf(members: Members, error: unknown): Promise<PoolError | undefined> {
  const isAway = error instanceof PoolError && error.code === "no_members_available";
  const refusal = isAway ? await members.refusal?.() : undefined;
  return refusal ?? refusalIn((error as Error | undefined)?.cause);
}

/** The line of the callers that share their token, the pool, and what they need of a member. */
function lineOf<Admitted>(
  { members, clientOf, caller, lines }: Directory<Admitted>,
  pool: string,
  spec: ChildSpecInput,
): WaitingLine {
  const { sandbox } = spec;
  const key = JSON.stringify([pool, caller, ...demandsOf(spec)]);
  let line = lines.get(key);
  if (!line) {
    line = new WaitingLine({
      pool,
      choose: async (callers, subscriptions, isUseful) => {
        const fit = fitting(pool, spec, await members.in(pool));
        const useful = fit.filter(isUseful);
        if (fit.length <= WAIT_AT_ALL_UP_TO) return useful;
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

/** The member of this process, if it can serve the call. */
function ownOf<Admitted>(
  { own, clientOf }: Directory<Admitted>,
  pool: string,
  members: readonly Member[],
): PlacementPorts<Admitted>["own"] {
  const member = own === undefined ? undefined : members.find(({ name }) => name === own);
  return member && { member, load: () => clientOf(member).loadNow?.(pool) };
}
