/**
 * Placement: choosing a member of a pool and being admitted by it. The SDK and the gateway share
 * this code.
 *
 * It tries the least loaded of the members whose load it knows. Where it knows none, or all refuse,
 * it asks a random sample for their load, and tries them from the least loaded on, without waiting
 * for the slow ones. Sick members come last. The member's own admission is the only truth. When
 * each member of a sample refuses, a larger sample of the others is asked, until none is left. So N
 * simultaneous callers find N free slots, wherever those are.
 */
import { type Load, messageOf, PoolError } from "../../../openapi/errors.ts";
import { type Probe, ProbeRound } from "./choice/probes.ts";
import { batches, shuffled, take } from "./choice/samples.ts";
import type { Member } from "./members.ts";
import { byLoad, type PlacementPorts, Search } from "./search.ts";

/** In a pool of up to 20 members, all are asked at once. */
const ASK_ALL_UP_TO = 20;
/** 5 members of a larger pool in the first sample. */
const SAMPLE = 5;
/** 3 passes over the members, because slots come free and are taken during one pass. */
const PASSES = 3;
/** 250 ms for a member to tell its load. */
const PROBE_TIMEOUT_MS = 250;
/** 2 seconds for a slow member to tell its load, when no other member admits. */
const PATIENT_PROBE_TIMEOUT_MS = 2_000;

/**
 * In a pool of up to 5 members, a caller waits at all of them. At fewer, some would idle while the
 * last callers wait elsewhere.
 */
export const WAIT_AT_ALL_UP_TO = 5;

/**
 * Finds the least loaded of `members` that admits.
 *
 * @throws {PoolError} `no_members_available` without members, or when none answers;
 *   `all_members_at_capacity` when those that answer are full; `member_lost` when a member was lost
 *   while it may have admitted.
 */
export async function place<T>(
  pool: string,
  members: readonly Member[],
  ports: PlacementPorts<T>,
): Promise<T> {
  const { length } = members;
  if (length === 0) throw PoolError.of("no_members_available", `pool ${pool} has no members`);
  const { random, mayTry = () => true, effort = "thorough" } = ports;
  const search = new Search(members, ports);
  const known = await search.tryKnown(PROBE_TIMEOUT_MS);
  if (known) return known.admitted;
  for (let pass = 0; pass < (effort === "thorough" ? PASSES : 1); pass++) {
    // The first pass leaves no member out.
    const enough = pass === 0 ? length : Math.min(length, ASK_ALL_UP_TO);
    // A known member that refused just now has answered.
    if (pass > 0) search.full = 0;
    const size = length <= ASK_ALL_UP_TO ? length : SAMPLE;
    let asked = 0;
    for (const batch of batches(shuffled(members, random), size, mayTry)) {
      const admission = await search.tryEach(batch, PROBE_TIMEOUT_MS, true);
      if (admission) return admission.admitted;
      asked += batch.length;
      if (asked >= enough) break;
    }
    // A slow member is not lost. When no other one admits, it gets a longer wait, once.
    if (pass === 0 && search.slow.size > 0) {
      const admission = await search.tryEach([...search.slow], PATIENT_PROBE_TIMEOUT_MS);
      if (admission) return admission.admitted;
    }
    if (search.full === 0) throw noneAnswers(pool, length, search.lastError);
  }
  throw noneAdmits(pool, length, search.closed);
}

function noneAdmits(pool: string, count: number, closed: PoolError | undefined) {
  const detail = closed
    ? `none of ${count} members admits: ${closed.message}`
    : `all ${count} members are at capacity`;
  return PoolError.of("all_members_at_capacity", `pool ${pool}: ${detail}`, { cause: closed });
}

function noneAnswers(pool: string, count: number, cause: unknown) {
  const tried =
    count === 1 ? "its one member does not answer" : `none of its ${count} members answers`;
  return PoolError.of("no_members_available", `pool ${pool}: ${tried}: ${messageOf(cause)}`, {
    cause,
  });
}

/**
 * The members of a random sample to wait at: those with a free slot, and those with the shortest
 * queues, up to `count`.
 */
export async function shortestQueues(members: readonly Member[], count: number, probe: Probe) {
  const round = new ProbeRound(take(shuffled(members), SAMPLE), PROBE_TIMEOUT_MS, probe);
  const answered = [...(await round.early()), ...(await round.late())];
  const demand = ({ load: { active, queued, max } }: { readonly load: Load }) =>
    (active + queued) / max;
  const free = byLoad(answered).length;
  return answered
    .sort((a, b) => demand(a) - demand(b))
    .slice(0, Math.max(count, free))
    .map(({ member }) => member);
}
