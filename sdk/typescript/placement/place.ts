/**
 * Placement: choosing a member of a pool and being admitted by it. The SDK and the gateway run this same code.
 *
 * A few random members are asked for their load at once and tried from the least loaded on. The member's own
 * admission is the only truth: one that refuses is passed over, and a larger sample of the others is asked,
 * until every member has been. So N simultaneous callers find N free slots wherever those are.
 */
import type { Load } from "../../../openapi/errors.ts";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { Member } from "./members.ts";

/** Up to this many members, all are asked. */
const ASK_ALL_UP_TO = 20;
/** Above, so many at first, chosen at random; each further sample is larger by {@link SAMPLE_GROWTH}. */
const SAMPLE = 5;
const SAMPLE_GROWTH = 4;
/** Passes over the members before a full pool is called full: slots come free and are taken while one looks. */
const PASSES = 3;
/** How long a member may take to tell its load: first, and where nothing better answered. */
const PROBE_TIMEOUT_MS = 250;
const PATIENT_PROBE_TIMEOUT_MS = 2_000;

/** What became of one try to be admitted. */
export type Admission<T> =
  | { readonly admitted: T }
  /** It is at capacity, or does not admit now. */
  | { readonly full: true }
  /** The request never reached it. */
  | { readonly unreachable: unknown };

export interface PlacementPorts<T> {
  /** Asks a member for its load in the pool; rejects when it does not answer. */
  probe(member: Member, signal: AbortSignal): Promise<Load>;
  /** Tries to be admitted. Rejects only when the member may have admitted: such a try is never repeated elsewhere. */
  admit(member: Member): Promise<Admission<T>>;
  /** A number in [0, 1). */
  random?: () => number;
  effort?: Effort;
}

/** `thorough` (default) asks every member, and looks again for slots that move meanwhile; `once` asks every member; `sample` asks a few. */
export type Effort = "thorough" | "once" | "sample";

/** Some of the members, chosen at random, with their loads: those that answer. */
export async function sample(
  members: readonly Member[],
  probe: PlacementPorts<unknown>["probe"],
  random?: () => number,
): Promise<Probed[]> {
  return (await probeAll(take(shuffled(members, random), SAMPLE), PROBE_TIMEOUT_MS, probe))
    .answered;
}

/** The items in random order, drawn as they are asked for: taking k of them costs in proportion to k. */
export function* shuffled<T>(
  items: readonly T[],
  random: () => number = Math.random,
): Generator<T, void, undefined> {
  // Fisher–Yates on a sparse copy: only the positions that were swapped are held.
  const moved = new Map<number, T>();
  const at = (index: number) => moved.get(index) ?? (items[index] as T);
  for (let index = 0; index < items.length; index++) {
    const other = index + Math.floor(random() * (items.length - index));
    const chosen = at(other);
    moved.set(other, at(index));
    yield chosen;
  }
}

function take<T>(draw: Iterator<T, void>, count: number): T[] {
  const taken: T[] = [];
  while (taken.length < count) {
    const next = draw.next();
    if (next.done) break;
    taken.push(next.value);
  }
  return taken;
}

/** Those with a free slot, least loaded first by active/max; equals keep their (random) order. */
export function byLoad<T extends { readonly load: Load }>(probed: readonly T[]): T[] {
  return probed
    .filter(({ load }) => load.active < load.max)
    .sort((a, b) => a.load.active / a.load.max - b.load.active / b.load.max);
}

export type Probed = { readonly member: Member; readonly load: Load };

/** Asks all of `members` at once; those that fail at once are told apart from those that are only slow. */
async function probeAll(
  members: readonly Member[],
  timeoutMs: number,
  probe: PlacementPorts<unknown>["probe"],
) {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeoutMs);
  const answered: Probed[] = [];
  const slow: Member[] = [];
  let lastError: unknown;
  await Promise.all(
    members.map(async (member) => {
      try {
        answered.push({ member, load: await probe(member, timeout.signal) });
      } catch (error) {
        lastError = error;
        if (timeout.signal.aborted) slow.push(member);
      }
    }),
  );
  clearTimeout(timer);
  return { answered, slow, lastError };
}

/**
 * Finds the least loaded of `members` that admits.
 *
 * @throws {PoolError} `no_members_available` when there are none or none answers; `all_members_at_capacity` when
 *   those that answer are full; `member_lost` when one was lost while it may have admitted.
 */
export async function place<T>(
  pool: string,
  members: readonly Member[],
  ports: PlacementPorts<T>,
): Promise<T> {
  if (members.length === 0)
    throw PoolError.of("no_members_available", `pool ${pool} has no members`);
  let full = 0;
  let lastError: unknown;

  const attempt = async (
    candidates: readonly Member[],
    timeoutMs: number,
  ): Promise<{ admitted?: { value: T }; slow: Member[] }> => {
    const {
      answered,
      slow,
      lastError: probeError,
    } = await probeAll(candidates, timeoutMs, ports.probe);
    lastError = probeError ?? lastError;
    const free = byLoad(answered);
    full += answered.length - free.length;
    for (const { member } of free) {
      const admission = await ports.admit(member);
      if ("admitted" in admission) return { admitted: { value: admission.admitted }, slow };
      if ("full" in admission) full += 1;
      else lastError = admission.unreachable;
    }
    return { slow };
  };

  const { effort = "thorough" } = ports;
  const brief = effort === "sample";
  const slow = new Set<Member>();
  for (let pass = 0; pass < (effort === "thorough" ? PASSES : 1); pass++) {
    const draw = shuffled(members, ports.random);
    let asked = 0;
    full = 0;
    for (
      let size = members.length <= ASK_ALL_UP_TO && !brief ? members.length : SAMPLE;
      ;
      size *= SAMPLE_GROWTH
    ) {
      const outcome = await attempt(take(draw, size), PROBE_TIMEOUT_MS);
      if (outcome.admitted) return outcome.admitted.value;
      for (const member of outcome.slow) slow.add(member);
      asked += size;
      // The first pass leaves nobody out. The later ones are for slots that moved meanwhile: a sample tells.
      if (brief || asked >= members.length || (pass > 0 && asked >= ASK_ALL_UP_TO)) break;
    }
    // Slow is not lost: what nobody else could take is worth a longer wait, once.
    if (pass === 0 && slow.size > 0 && !brief) {
      const outcome = await attempt([...slow], PATIENT_PROBE_TIMEOUT_MS);
      if (outcome.admitted) return outcome.admitted.value;
    }
    if (full === 0) {
      const tried =
        members.length === 1
          ? "its one member does not answer"
          : `none of its ${members.length} members answers`;
      throw PoolError.of(
        "no_members_available",
        `pool ${pool}: ${tried}: ${messageOf(lastError)}`,
        { cause: lastError },
      );
    }
  }
  throw PoolError.of(
    "all_members_at_capacity",
    `pool ${pool}: all ${members.length} members are at capacity`,
  );
}
