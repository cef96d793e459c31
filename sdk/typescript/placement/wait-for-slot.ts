/**
 * Waits for a slot of a full pool, with late binding: the caller stands in the queues of several
 * members, takes the first slot that is granted, and leaves the other queues. So it never waits
 * behind a busy member while another one idles.
 */
import { PoolError } from "../../../openapi/errors.ts";
import { Deadline } from "../time/deadline.ts";
import { pause } from "../time/pause.ts";
import type { PlaceOptions } from "./access.ts";
import type { Member } from "./members.ts";
import type { Admission, Effort } from "./place.ts";
import { type GrantedSlot, SlotQueues, type SlotQueuesOptions } from "./slot-queues.ts";

/**
 * After 1 second, give or take a half, a waiting caller looks at the pool again: members join, and
 * slots come free at members where it does not wait.
 */
const LOOK_AGAIN_MS = 1_000;
/** 100 ms after all queues have refused the caller, as draining members do. */
const PAUSE_MS = 100;
/**
 * 5 seconds, within the wait, for a pool in which no member answers. The members may be too busy
 * to answer, or about to be back.
 */
const UNREACHABLE_MS = 5_000;

export interface WaitingPorts<T> extends SlotQueuesOptions {
  /** Tries to be admitted without a wait. @throws {PoolError} as `place` does. */
  tryNow(effort: Effort): Promise<T>;
  /** The members to wait at. They may include those of the `waits` queues that it stands in. */
  choose(waits: number): Promise<readonly Member[]>;
  /** Takes a granted slot. Rejects only as `admit` of a placement does. */
  claim(granted: GrantedSlot): Promise<Admission<T>>;
}

interface Wait extends Pick<PlaceOptions, "signal" | "leaving"> {
  readonly pool: string;
  readonly waitMs: number;
}

/** Refusals that a later try may not get. */
const NOT_NOW = new Set(["all_members_at_capacity", "no_members_available"]);
const isNotNow = (error: unknown): error is PoolError =>
  error instanceof PoolError && NOT_NOW.has(error.code);

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
  const signals = [caller, leaving].filter((signal) => signal !== undefined);
  const signal = signals.length > 1 ? AbortSignal.any(signals) : signals[0];
  const deadline = new Deadline(waitMs);
  const unreachableUntil = new Deadline(UNREACHABLE_MS);
  const queues = new SlotQueues(ports, deadline);
  let unreachable: PoolError | undefined;
  try {
    try {
      // A caller that waits hears of slots that come free, so it needs only one pass.
      return await ports.tryNow(waitMs === 0 ? "thorough" : "once");
    } catch (error) {
      if (waitMs === 0 || !isNotNow(error)) throw error;
      if (error.code === "no_members_available") {
        if ((await ports.choose(0)).length === 0) throw error;
        unreachable = error;
      }
    }
    for (;;) {
      signal?.throwIfAborted();
      if (deadline.hasPassed)
        throw PoolError.of("queue_timeout", `no slot of pool ${pool} came free in ${waitMs} ms`);
      queues.join(await ports.choose(queues.count));
      const lookAgainMs = LOOK_AGAIN_MS * (0.5 + Math.random());
      const granted = await queues.next(Math.min(deadline.remainingMs, lookAgainMs), signal);
      if (granted) {
        const admission = await ports.claim(granted);
        if ("admitted" in admission) return admission.admitted;
      } else if (queues.isEmpty && !deadline.hasPassed) {
        if (unreachable && !queues.reached && unreachableUntil.hasPassed) throw unreachable;
        throwRefusal(pool, queues.refusal);
        await pause(PAUSE_MS, signal);
      }
      if (queues.reached) unreachable = undefined;
      if (queues.isEmpty || !granted) {
        try {
          return await ports.tryNow("sample");
        } catch (error) {
          if (!isNotNow(error)) throw error;
        }
      }
    }
  } finally {
    queues.close();
  }
}

/** Ends the wait by a refusal of the queues, unless it comes from members that drain. */
function throwRefusal(pool: string, refusal: PoolError | undefined): void {
  if (!refusal || refusal.code === "draining") return;
  if (refusal.code !== "at_capacity") throw refusal;
  throw PoolError.of(
    "all_members_at_capacity",
    `pool ${pool}: its members are at capacity, and so are their queues`,
    { cause: refusal },
  );
}
