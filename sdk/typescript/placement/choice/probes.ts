/** Asks several members for their load, without waiting for the slow ones. */
import type { Load } from "../../../../openapi/errors.ts";
import { within } from "../../time/within.ts";
import type { Member } from "../members.ts";

/**
 * Once half of the members have answered, the others have as much time again, and at least 10 ms.
 */
const HEDGE_MS = 10;

/** Asks a member for its load in the pool. Rejects when the member does not answer. */
export type Probe = (member: Member, signal: AbortSignal) => Promise<Load>;

/** The load that a member told. */
export interface Probed {
  readonly member: Member;
  readonly load: Load;
}

/** One question to several members at once. */
export class ProbeRound {
  /** Members that did not answer in time. They are all known once {@link late} has resolved. */
  readonly slow: Member[] = [];
  /** The error of the last member that failed. */
  lastError: unknown;
  #answered: Probed[] = [];
  readonly #startedAt = performance.now();
  readonly #all: Promise<unknown>;
  readonly #half = Promise.withResolvers<void>();

  /** @param timeoutMs milliseconds for each member. */
  constructor(members: readonly Member[], timeoutMs: number, probe: Probe) {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), timeoutMs);
    let done = 0;
    let hasFree = false;
    const ask = async (member: Member) => {
      try {
        const load = await probe(member, timeout.signal);
        this.#answered.push({ member, load });
        hasFree ||= load.active < load.max;
      } catch (error) {
        this.lastError = error;
        if (timeout.signal.aborted) this.slow.push(member);
      }
      done += 1;
      if (hasFree && done * 2 >= members.length) this.#half.resolve();
    };
    this.#all = Promise.all(members.map(ask)).finally(() => clearTimeout(timer));
  }

  /** The answers of the quick members; of all members where the quick ones have no free slot. */
  early = async (): Promise<Probed[]> => {
    await Promise.race([this.#all, this.#half.promise]);
    const elapsedMs = performance.now() - this.#startedAt;
    await within(Math.max(HEDGE_MS, elapsedMs), this.#all);
    return this.#take();
  };

  /** The answers that came later. */
  late = async (): Promise<Probed[]> => {
    await this.#all;
    return this.#take();
  };

  #take(): Probed[] {
    return this.#answered.splice(0);
  }
}
