/** One caller's way to a slot: at once where one is free, otherwise through the line. */
import { PoolError } from "../../../openapi/errors.ts";
import { Deadline } from "../time/deadline.ts";
import { pause } from "../time/pause.ts";
import type { PlaceOptions } from "./access.ts";
import type { Admission, Effort } from "./search.ts";
import type { WaitingLine } from "./waiting/line.ts";
import type { GrantedSlot, WaitingCaller } from "./waiting/places.ts";

export interface WaitingPorts<T> extends WaitingCaller {
  /** Tries to be admitted without a wait. @throws {PoolError} as `place` does. */
  tryNow(effort: Effort): Promise<T>;
  /** Whether any member could serve the caller. */
  hasMembers(): Promise<boolean>;
  /** The line of the callers that share their token, the pool, and the demand for a sandbox. */
  line(): WaitingLine;
  /** Takes a granted slot. Rejects only as `admit` of a placement does. */
  claim(granted: GrantedSlot): Promise<Admission<T>>;
}

interface Wait extends Pick<PlaceOptions, "signal" | "leaving"> {
  readonly pool: string;
  readonly waitMs: number;
}

/**
 * 20 ms, give or take a half, after a claim that failed; the pauses double up to 1 second. A member
 * that grants slots and refuses their claims is not asked in a tight circle.
 */
const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 1_000;

/** Refusals that a later try may not get. */
const NOT_NOW = new Set(["all_members_at_capacity", "no_members_available"]);

/**
 * Is admitted at once, or as soon as a slot is granted.
 *
 * @param options `waitMs`: milliseconds to wait; with 0, a full pool refuses the caller at once.
 * @throws {PoolError} `queue_timeout` after `waitMs`; `all_members_at_capacity` when `waitMs` is 0,
 *   or when the queues are full too; and the errors of `place`.
 */
export async function placeOrWait<T>(
  ports: WaitingPorts<T>,
  { pool, waitMs, signal: caller, leaving }: Wait,
): Promise<T> {
  if (waitMs === 0) return ports.tryNow("thorough");
  const signals = [caller, leaving].filter((signal) => signal !== undefined);
  const signal = signals.length > 1 ? AbortSignal.any(signals) : signals[0];
  const deadline = new Deadline(waitMs);
  const line = ports.line();
  if (line.isOpen)
    try {
      // A caller that waits hears of slots that come free, so it needs only one pass.
      return await line.bypass(() => ports.tryNow("once"));
    } catch (error) {
      if (!(error instanceof PoolError && NOT_NOW.has(error.code))) throw error;
      if (error.code === "no_members_available" && !(await ports.hasMembers())) throw error;
    }
  for (let failures = 0; ; failures++) {
    signal?.throwIfAborted();
    const isFirst = failures > 0;
    const ms = deadline.remainingMs;
    const granted = ms > 0 ? await ports.line().next(ports, { ms, signal, isFirst }) : undefined;
    if (!granted) {
      signal?.throwIfAborted();
      throw PoolError.of("queue_timeout", `no slot of pool ${pool} came free in ${waitMs} ms`);
    }
    let isTaken = false;
    try {
      const admission = await ports.claim(granted);
      isTaken = "admitted" in admission;
      if ("admitted" in admission) return admission.admitted;
    } finally {
      granted.settle(isTaken);
    }
    const longest = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
    await pause(Math.min(longest * (0.5 + Math.random()), deadline.remainingMs), signal);
  }
}
