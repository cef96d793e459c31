/**
 * Placement: choosing a member of a pool and being admitted by it. The SDK and the gateway share
 * this code.
 *
 * It asks a random sample of the members for their load, and tries them from the least loaded on,
 * without waiting for the slow ones. Sick members come last. The member's own admission is the
 * only truth. When each member of a sample refuses, a larger sample of the others is asked, until
 * none is left. So N simultaneous callers find N free slots, wherever those are.
 */
import { type Load, messageOf, PoolError } from "../../../openapi/errors.ts";
import { type Probe, ProbeRound } from "./choice/probes.ts";
import type { Member } from "./members.ts";

/** In a pool of up to 20 members, all are asked at once. */
const ASK_ALL_UP_TO = 20;
/** 5 members of a larger pool in the first sample. */
const SAMPLE = 5;
/** Each further sample is 4 times as large as the last one. */
const SAMPLE_GROWTH = 4;
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

/** The outcome of one try to be admitted. */
export type Admission<T> =
  | { readonly admitted: T }
  /** The member is at capacity; or `closed` says why it admits nothing, such as a drain. */
  | { readonly full: true; readonly closed?: PoolError | undefined }
  /** The request did not reach the member, or was refused for another reason; nothing was run. */
  | { readonly unreachable: unknown };

export interface PlacementPorts<T> {
  readonly probe: Probe;
  /**
   * Tries to be admitted. Rejects only when the member may have admitted the child: such a try is
   * never repeated elsewhere.
   */
  admit(member: Member): Promise<Admission<T>>;
  /** Returns a number in [0, 1). Default `Math.random`. */
  random?: () => number;
  /** Whether a member comes before the sick ones. Default: every member. */
  mayTry?: (member: Member) => boolean;
  /** Default `thorough`. */
  effort?: Effort;
}

/**
 * `thorough` asks every member, and looks again for slots that came free meanwhile. `once` asks
 * every member.
 */
export type Effort = "thorough" | "once";

/** The members with a free slot, lowest active/max first; equals keep their random order. */
export function byLoad<T extends { readonly load: Load }>(probed: readonly T[]) {
  return probed
    .filter(({ load }) => load.active < load.max)
    .sort((a, b) => a.load.active / a.load.max - b.load.active / b.load.max);
}

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
  { probe, admit, random, mayTry = () => true, effort = "thorough" }: PlacementPorts<T>,
): Promise<T> {
  const { length } = members;
  if (length === 0) throw PoolError.of("no_members_available", `pool ${pool} has no members`);
  const slow: Member[] = [];
  let full = 0;
  let closed: PoolError | undefined;
  let lastError: unknown;
  /** Tries the candidates by their load. */
  const tryEach = async (candidates: readonly Member[], timeoutMs: number) => {
    const round = new ProbeRound(candidates, timeoutMs, probe);
    for (const next of [round.early, round.late]) {
      const answered = await next();
      const free = byLoad(answered);
      full += answered.length - free.length;
      for (const { member } of free) {
        const admission = await admit(member);
        if ("admitted" in admission) return admission;
        if ("full" in admission) {
          full += 1;
          closed = admission.closed ?? closed;
        } else lastError = admission.unreachable;
      }
    }
    slow.push(...round.slow);
    lastError = round.lastError ?? lastError;
    return undefined;
  };
  for (let pass = 0; pass < (effort === "thorough" ? PASSES : 1); pass++) {
    // The first pass leaves no member out.
    const enough = pass === 0 ? length : Math.min(length, ASK_ALL_UP_TO);
    full = 0;
    const size = length <= ASK_ALL_UP_TO ? length : SAMPLE;
    let asked = 0;
    for (const batch of batches(shuffled(members, random), size, mayTry)) {
      const admission = await tryEach(batch, PROBE_TIMEOUT_MS);
      if (admission) return admission.admitted;
      asked += batch.length;
      if (asked >= enough) break;
    }
    // A slow member is not lost. When no other one admits, it gets a longer wait, once.
    if (pass === 0 && slow.length > 0) {
      const admission = await tryEach(slow, PATIENT_PROBE_TIMEOUT_MS);
      if (admission) return admission.admitted;
    }
    if (full === 0) throw noneAnswers(pool, length, lastError);
  }
  throw noneAdmits(pool, length, closed);
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

/**
 * The items in random order. Each is made as it is drawn: k of them take time in proportion to k.
 * This is the Fisher-Yates shuffle on a sparse copy, which holds only the items that it swapped.
 *
 * @param random returns a number in [0, 1). Default `Math.random`.
 */
export function* shuffled<T>(
  items: readonly T[],
  random: () => number = Math.random,
): Generator<T, void, undefined> {
  const moved = new Map<number, T>();
  const at = (index: number) => moved.get(index) ?? (items[index] as T);
  for (let index = 0; index < items.length; index++) {
    const other = index + Math.floor(random() * (items.length - index));
    const chosen = at(other);
    moved.set(other, at(index));
    yield chosen;
  }
}

/**
 * The members in batches, each larger than the last one. Sick members come when no other is left.
 *
 * @param size of the first batch.
 */
function* batches(
  draw: Iterable<Member>,
  size: number,
  mayTry: (member: Member) => boolean,
): Generator<Member[], void, undefined> {
  const sick: Member[] = [];
  const well = function* () {
    for (const member of draw)
      if (mayTry(member)) yield member;
      else sick.push(member);
  };
  for (const group of [well(), sick.values()]) {
    let count = size;
    for (let batch = take(group, count); batch.length > 0; batch = take(group, count)) {
      yield batch;
      count *= SAMPLE_GROWTH;
    }
  }
}

/** The next `count` items of an iterator, which can be read on afterwards. */
function take<T>(draw: Iterator<T, void>, count: number): T[] {
  const taken: T[] = [];
  while (taken.length < count) {
    const next = draw.next();
    if (next.done) break;
    taken.push(next.value);
  }
  return taken;
}
