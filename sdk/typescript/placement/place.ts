/**
 * Placement: choosing a member of a pool and being admitted by it. The SDK and the gateway share
 * this code.
 *
 * It asks a random sample of the members for their load, and tries them from the least loaded on.
 * The member's own admission is the only truth. When each member of a sample refuses, a larger
 * sample of the others is asked, until none is left. So N simultaneous callers find N free slots,
 * wherever those are.
 */
import type { Load } from "../../../openapi/errors.ts";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { Member } from "./members.ts";
import { PROBE_TIMEOUT_MS, type Probe, probeAll, SAMPLE, shuffled, take } from "./sample.ts";

/** In a pool of up to 20 members, all are asked at once. */
const ASK_ALL_UP_TO = 20;
/** Each further sample is 4 times as large as the last one. */
const SAMPLE_GROWTH = 4;
/** 3 passes over the members, because slots come free and are taken during one pass. */
const PASSES = 3;
/** 2 seconds for a slow member to tell its load, when no other member admits. */
const PATIENT_PROBE_TIMEOUT_MS = 2_000;

/** The outcome of one try to be admitted. */
export type Admission<T> =
  | { readonly admitted: T }
  /** The member is at capacity, or drains. */
  | { readonly full: true }
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
  /** Default `thorough`. */
  effort?: Effort;
}

/**
 * `thorough` asks every member, and looks again for slots that came free meanwhile. `once` asks
 * every member. `sample` asks a few.
 */
export type Effort = "thorough" | "once" | "sample";

/** The members with a free slot, lowest active/max first; equals keep their random order. */
export function byLoad<T extends { readonly load: Load }>(probed: readonly T[]): T[] {
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
  ports: PlacementPorts<T>,
): Promise<T> {
  if (members.length === 0)
    throw PoolError.of("no_members_available", `pool ${pool} has no members`);
  const search = new Search(members, ports);
  for (let pass = 0; pass < (search.effort === "thorough" ? PASSES : 1); pass++) {
    const admission = await search.pass(pass === 0);
    if (admission) return admission.admitted;
    if (search.full > 0) continue;
    const tried =
      members.length === 1
        ? "its one member does not answer"
        : `none of its ${members.length} members answers`;
    const { lastError: cause } = search;
    throw PoolError.of("no_members_available", `pool ${pool}: ${tried}: ${messageOf(cause)}`, {
      cause,
    });
  }
  throw PoolError.of(
    "all_members_at_capacity",
    `pool ${pool}: all ${members.length} members are at capacity`,
  );
}

type Admitted<T> = { readonly admitted: T } | undefined;

/** One caller's search for a member that admits. */
class Search<T> {
  readonly effort: Effort;
  /** The members of this pass that are at capacity. */
  full = 0;
  /** The last reason why a member could not be tried. */
  lastError: unknown;
  readonly #members: readonly Member[];
  readonly #ports: PlacementPorts<T>;

  constructor(members: readonly Member[], ports: PlacementPorts<T>) {
    this.#members = members;
    this.#ports = ports;
    this.effort = ports.effort ?? "thorough";
  }

  /** Goes over the members once, in a new random order. The first pass leaves no member out. */
  async pass(isFirst: boolean): Promise<Admitted<T>> {
    const { length } = this.#members;
    const sampleOnly = this.effort === "sample";
    const enough = sampleOnly ? SAMPLE : isFirst ? length : Math.min(length, ASK_ALL_UP_TO);
    const draw = shuffled(this.#members, this.#ports.random);
    const slow: Member[] = [];
    this.full = 0;
    let size = length <= ASK_ALL_UP_TO && !sampleOnly ? length : SAMPLE;
    for (let asked = 0; asked < enough; size *= SAMPLE_GROWTH) {
      const admission = await this.#tryEach(take(draw, size), PROBE_TIMEOUT_MS, slow);
      if (admission) return admission;
      asked += size;
    }
    // A slow member is not lost. When no other one admits, it gets a longer wait, once.
    if (!isFirst || sampleOnly || slow.length === 0) return undefined;
    return this.#tryEach(slow, PATIENT_PROBE_TIMEOUT_MS);
  }

  /** Tries the candidates by their load, and adds those that are slow to tell it to `slow`. */
  async #tryEach(
    candidates: readonly Member[],
    timeoutMs: number,
    slow: Member[] = [],
  ): Promise<Admitted<T>> {
    const probed = await probeAll(candidates, timeoutMs, this.#ports.probe);
    slow.push(...probed.slow);
    this.lastError = probed.lastError ?? this.lastError;
    const free = byLoad(probed.answered);
    this.full += probed.answered.length - free.length;
    for (const { member } of free) {
      const admission = await this.#ports.admit(member);
      if ("admitted" in admission) return admission;
      if ("full" in admission) this.full += 1;
      else this.lastError = admission.unreachable;
    }
    return undefined;
  }
}
