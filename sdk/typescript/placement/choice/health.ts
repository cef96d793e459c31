/**
 * Outlier detection: a member that fails several times in a row goes to the end of the order for a
 * while. The algorithm is Envoy's, with its consecutive failures and its ejection time
 * (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier). No member is
 * left out for good, because the others may be full.
 */
import { PoolError } from "../../../../openapi/errors.ts";
import type { Member } from "../members.ts";
import type { Admission } from "../search.ts";
import { perPool } from "./per-pool.ts";

/** 3 failures in a row eject a member. */
const FAILURES = 3;
/** 5 seconds for the first ejection, 10 for the second, up to 5 minutes. */
const EJECTION_MS = 5_000;
const MAX_EJECTION_MS = 300_000;
/** Once the ejection is over, one caller a second tries the member, until it works. */
const TRIAL_MS = 1_000;
/** After 5 minutes in order, former ejections no longer count. */
const FORGET_MS = 300_000;
/** 10,000 members with failures are known at a time. */
const MAX_KNOWN = 10_000;

/** 100 ms for a member to tell its load; a slower answer counts as a failure. */
const SLOW_MS = 100;
/** Failures of an admission for which a sick member may be the cause. */
const SICK = new Set(["sandbox_unavailable", "internal_error", "member_lost"]);

interface Failing {
  failures: number;
  ejections: number;
  /** Until when the member is not tried, of the clock. */
  until: number;
  isOnTrial: boolean;
}

/** Failures of one kind, by the member's name. */
class Outliers {
  readonly #now: () => number;
  readonly #failing = new Map<string, Failing>();

  constructor(now: () => number) {
    this.#now = now;
  }

  mayTry(name: string): boolean {
    const known = this.#failing.get(name);
    if (!known || known.failures < FAILURES) return true;
    const now = this.#now();
    if (now < known.until) return false;
    known.until = now + TRIAL_MS;
    known.isOnTrial = true;
    return true;
  }

  failed(name: string): void {
    const known = this.#failing.get(name) ?? this.#add(name);
    known.failures += 1;
    const now = this.#now();
    if (known.failures < FAILURES || (now < known.until && !known.isOnTrial)) return;
    known.ejections += 1;
    known.isOnTrial = false;
    known.until = now + Math.min(MAX_EJECTION_MS, EJECTION_MS * known.ejections);
  }

  worked(name: string): void {
    const known = this.#failing.get(name);
    if (!known) return;
    known.failures = 0;
    if (known.ejections === 0 || this.#now() - known.until > FORGET_MS) this.#failing.delete(name);
  }

  #add(name: string): Failing {
    const added = { failures: 0, ejections: 0, until: 0, isOnTrial: false };
    this.#failing.set(name, added);
    if (this.#failing.size > MAX_KNOWN)
      this.#failing.delete(this.#failing.keys().next().value as string);
    return added;
  }
}

/** The health of a pool's members, as this process has found it. */
export class PoolHealth {
  readonly #now: () => number;
  /** Whether members start children. Only an admission shows that one does. */
  readonly #starts: Outliers;
  /** Whether members tell their load in time. */
  readonly #answers: Outliers;

  /** @param now the clock, in milliseconds. Default: `performance.now()`. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#starts = new Outliers(now);
    this.#answers = new Outliers(now);
  }

  /** Whether a member comes before the sick ones. For a sick one, now and then one caller may. */
  mayTry = ({ name }: Member): boolean => this.#starts.mayTry(name) && this.#answers.mayTry(name);

  /** Asks a member for its load, and notes whether it answers in time. */
  async timed<T>({ name }: Member, ask: () => Promise<T>): Promise<T> {
    const startedAt = this.#now();
    const isLate = () => this.#now() - startedAt > SLOW_MS;
    try {
      const load = await ask();
      if (isLate()) this.#answers.failed(name);
      else this.#answers.worked(name);
      return load;
    } catch (error) {
      // A caller that leaves early ends its questions.
      if (isLate() || (error as Error | undefined)?.name !== "AbortError")
        this.#answers.failed(name);
      throw error;
    }
  }

  /** Notes how a try to be admitted ends. */
  noted = async <T>({ name }: Member, trying: Promise<Admission<T>>): Promise<Admission<T>> => {
    try {
      const admission = await trying;
      if ("admitted" in admission) this.#starts.worked(name);
      else if ("unreachable" in admission && isSick(admission.unreachable))
        this.#starts.failed(name);
      return admission;
    } catch (error) {
      if (error instanceof PoolError && isSick(error)) this.#starts.failed(name);
      throw error;
    }
  };
}

/** Whether a sick member may be the cause, and not the request. */
function isSick(error: unknown): boolean {
  return !(error instanceof PoolError) || SICK.has(error.code);
}

/** The health of the members of one pool. */
export const healthIn = perPool(() => new PoolHealth());
