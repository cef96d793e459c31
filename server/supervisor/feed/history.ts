/** Counts what happens to the children of this member, by steps of 10 seconds, for 30 minutes. */
import { PoolError } from "../../../openapi/errors.ts";
import {
  BOUNDS_MS,
  MAX_STEPS,
  type PoolHistory,
  STEP_MS,
} from "../../../openapi/schemas/state/history.ts";
import type { ChildObserver, ObservedChild } from "../observed/observer.ts";
import type { Supervisors } from "../this-member.ts";

/** The lengths of the queues are read once a second. */
const QUEUES_MS = 1_000;
/** The counts of one histogram. */
const CELLS = BOUNDS_MS.length + 1;

/** Counts by step, in a ring. */
class Counts {
  readonly #width: number;
  readonly #cells: Int32Array;

  /** @param width the counts of one step. Default 1. */
  constructor(width = 1) {
    this.#width = width;
    this.#cells = new Int32Array(MAX_STEPS * width);
  }

  clear(step: number): void {
    const from = this.#at(step);
    this.#cells.fill(0, from, from + this.#width);
  }

  add(step: number, cell = 0): void {
    const at = this.#at(step) + cell;
    this.#cells[at] = (this.#cells[at] as number) + 1;
  }

  raise(step: number, value: number): void {
    const at = this.#at(step);
    this.#cells[at] = Math.max(this.#cells[at] as number, value);
  }

  one(step: number): number {
    return this.#cells[this.#at(step)] as number;
  }

  /** All counts of a step; none where they are all 0. */
  all(step: number): number[] {
    const from = this.#at(step);
    const cells = [...this.#cells.subarray(from, from + this.#width)];
    return cells.some((each) => each > 0) ? cells : [];
  }

  #at(step: number): number {
    return (step % MAX_STEPS) * this.#width;
  }
}

/** The counts of one pool. */
class PoolCounts {
  readonly placed = new Counts();
  readonly ended = new Counts();
  readonly refused = new Counts();
  readonly queued = new Counts();
  readonly waits = new Counts(CELLS);
  readonly runs = new Counts(CELLS);
  /** By the code of the problem. */
  readonly failed = new Map<string, Counts>();
  #last: number;

  constructor(step: number) {
    this.#last = step;
  }

  /** Begins the steps up to this one. Their places in the rings have counts of 30 minutes ago. */
  moveTo(step: number): void {
    if (step <= this.#last) return;
    const { placed, ended, refused, queued, waits, runs, failed } = this;
    const all = [placed, ended, refused, queued, waits, runs, ...failed.values()];
    for (let next = Math.max(this.#last + 1, step - MAX_STEPS + 1); next <= step; next++)
      for (const counts of all) counts.clear(next);
    this.#last = step;
  }

  fail(step: number, code: string): void {
    const counts = this.failed.get(code) ?? new Counts();
    this.failed.set(code, counts);
    counts.add(step);
  }

  shown(steps: readonly number[]): PoolHistory {
    const list = (counts: Counts) => steps.map((step) => counts.one(step));
    const failed = [...this.failed]
      .map(([code, counts]) => [code, list(counts)] as const)
      .filter(([, counts]) => counts.some((each) => each > 0));
    return {
      placed: list(this.placed),
      ended: list(this.ended),
      failed: Object.fromEntries(failed),
      refused: list(this.refused),
      queued: list(this.queued),
      waits: steps.map((step) => this.waits.all(step)),
      runs: steps.map((step) => this.runs.all(step)),
    };
  }
}

/**
 * The steps of the last 30 minutes, up to the one of now. A step is the number of times 10 seconds
 * since the epoch.
 *
 * @param sinceMs only steps that end after this time, in milliseconds since the epoch.
 */
export function stepsSince(sinceMs = Number.NEGATIVE_INFINITY, nowMs = Date.now()): number[] {
  const last = Math.floor(nowMs / STEP_MS);
  const first = Math.max(last - MAX_STEPS + 1, Math.min(last, Math.floor(sinceMs / STEP_MS)));
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

export class HistoryCounts implements ChildObserver {
  readonly #pools = new Map<string, PoolCounts>();
  readonly #supervisors: () => Supervisors;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;

  /** @param now the time, in milliseconds since the epoch. Default `Date.now`. */
  constructor(supervisors: () => Supervisors, now: () => number = Date.now) {
    this.#supervisors = supervisors;
    this.#now = now;
    this.#timer = setInterval(() => this.#readQueues(), QUEUES_MS).unref();
  }

  placed({ reference }: ObservedChild, waitedMs: number): void {
    const { counts, step } = this.#of(reference.pool);
    counts.placed.add(step);
    counts.waits.add(step, cellOf(waitedMs));
  }

  ended({ info }: ObservedChild): void {
    const { pool, code, startedAt, endedAt } = info;
    const { counts, step } = this.#of(pool);
    counts.ended.add(step);
    counts.runs.add(step, cellOf(Date.parse(endedAt ?? startedAt) - Date.parse(startedAt)));
    if (code !== null) counts.fail(step, code);
  }

  refused(pool: string, error: unknown): void {
    // A request that makes no sense asked for no slot.
    if (error instanceof PoolError && error.code === "invalid_request") return;
    const { counts, step } = this.#of(pool);
    counts.refused.add(step);
  }

  /** The counts of a pool in these steps. */
  shown(pool: string, steps: readonly number[]): PoolHistory {
    return this.#of(pool).counts.shown(steps);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #of(pool: string): { readonly counts: PoolCounts; readonly step: number } {
    const step = Math.floor(this.#now() / STEP_MS);
    let counts = this.#pools.get(pool);
    if (!counts) {
      counts = new PoolCounts(step);
      this.#pools.set(pool, counts);
    }
    counts.moveTo(step);
    return { counts, step };
  }

  #readQueues(): void {
    const supervisors = this.#supervisors();
    for (const [pool, { slots }] of supervisors) {
      const { queued } = slots.load();
      if (queued === 0) continue;
      const { counts, step } = this.#of(pool);
      counts.queued.raise(step, queued);
    }
    for (const pool of this.#pools.keys()) if (!supervisors.has(pool)) this.#pools.delete(pool);
  }
}

/** The place of a duration in a histogram. */
function cellOf(ms: number): number {
  const found = BOUNDS_MS.findIndex((bound) => ms <= bound);
  return found < 0 ? BOUNDS_MS.length : found;
}
