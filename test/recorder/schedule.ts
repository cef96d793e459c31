/** The schedule of faults: a pure function of the seed, the time and what this machine can do. */
import { FAULTS, type FaultKind } from "./history.ts";
import type { Random } from "./random.ts";

/** A fault that is to come. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** Members, or for `leader` and `empty` none: who leads is known only then. */
  readonly hosts: readonly string[];
  /** Milliseconds from the start of the run. */
  readonly atMs: number;
  readonly forMs: number;
  /** Seconds by which a clock steps. */
  readonly stepS: number;
}

export interface ScheduleOptions {
  readonly durationMs: number;
  readonly members: readonly string[];
  /** The members that join for a while, by the kind of fault. */
  readonly guests: Readonly<Record<"join" | "released", string>>;
  /** Members whose process is never ended, so that what it holds can be watched. */
  readonly spared: ReadonlySet<string>;
  /** Faults that this machine cannot make. */
  readonly without: ReadonlySet<FaultKind>;
}

/** The time before the first fault. */
const QUIET_MS = 3_000;
/** The pause between the beginnings of two faults. */
const PAUSE_MS = [2_000, 8_000] as const;
/** How long a fault lasts. A check of a member in Consul expires after 15 seconds. */
const LASTS_MS: Readonly<Record<FaultKind, readonly [number, number]>> = {
  kill: [500, 10_000],
  stop: [1_000, 22_000],
  cut: [2_000, 22_000],
  mute: [2_000, 22_000],
  deaf: [2_000, 22_000],
  apart: [2_000, 15_000],
  leader: [1_000, 12_000],
  empty: [1_000, 5_000],
  full: [3_000, 12_000],
  descriptors: [2_000, 8_000],
  clock: [3_000, 15_000],
  rolling: [15_000, 15_000],
  join: [10_000, 25_000],
  released: [10_000, 25_000],
};

const ENDS_PROCESS: ReadonlySet<FaultKind> = new Set(["kill", "rolling"]);

/**
 * Draws the faults like cards: each kind comes once before any comes again. Faults overlap, but two
 * of them never hit the same member, nor Consul, at once. All of them end in time.
 */
export function scheduleOf(random: Random, options: ScheduleOptions): PlannedFault[] {
  const { durationMs, members, guests, spared, without } = options;
  const kinds = FAULTS.filter((kind) => !without.has(kind));
  const busyUntil = new Map<string, number>();
  const planned: PlannedFault[] = [];
  let cards: FaultKind[] = [];
  let atMs = QUIET_MS;
  while (kinds.length > 0) {
    if (cards.length === 0) cards = random.shuffled(kinds);
    const kind = cards.pop() as FaultKind;
    const order = random.shuffled(members);
    const forMs = random.between(...LASTS_MS[kind]);
    const stepS = random.pick([-3_600, -60, -5, 5, 60, 3_600]);
    const isIdle = (member: string) =>
      (busyUntil.get(member) ?? 0) <= atMs && !(ENDS_PROCESS.has(kind) && spared.has(member));
    const hosts = hostsOf(kind, order.filter(isIdle), guests);
    const claims = claimsOf({ kind, hosts });
    const isFree =
      claims.length > 0 && claims.every((claim) => (busyUntil.get(claim) ?? 0) <= atMs);
    if (isFree && atMs + forMs <= durationMs) {
      planned.push({ kind, hosts, atMs, forMs, stepS });
      // A member takes some seconds to start and to be seen.
      for (const claim of claims) busyUntil.set(claim, atMs + forMs + 5_000);
    }
    atMs += random.between(...PAUSE_MS);
    if (atMs >= durationMs) break;
  }
  return planned;
}

/** What a fault hits. Two faults never hit the same at once. */
export function claimsOf({ kind, hosts }: Pick<PlannedFault, "kind" | "hosts">) {
  return kind === "leader" || kind === "empty" ? ["consul"] : hosts;
}

function hostsOf(
  kind: FaultKind,
  idle: readonly string[],
  guests: ScheduleOptions["guests"],
): string[] {
  if (kind === "leader" || kind === "empty") return [];
  if (kind === "join" || kind === "released") return [guests[kind]];
  if (kind === "apart" || kind === "rolling") return idle.length < 2 ? [] : idle.slice(0, 2);
  return idle.slice(0, 1);
}
