/**
 * Waiting for a slot of a full pool, with late binding: the caller stands in the queues of several members at once, takes the first slot that
 * is granted and withdraws from the others, so that it never waits behind a busy member while another one idles.
 */
import type { Problem } from "../../../openapi/errors.ts";
import { errorFor, messageOf, PoolError } from "../../../openapi/errors.ts";
import type { SlotEvent } from "../../../openapi/events.ts";
import { pause } from "../http/pause.ts";
import type { Member } from "./members.ts";
import type { Admission, Effort } from "./place.ts";

/** In a pool of so few members it waits at all of them: with less, one would idle while the last callers wait elsewhere. */
export const WAIT_AT_ALL_UP_TO = 5;
/** Else at so many, those with the shortest queues of a sample. */
export const WAIT_AT = 2;
/** A caller that waits looks at the pool anew this often, give or take a half: members join, and slots come free where it does not wait. */
const LOOK_AGAIN_MS = 1_000;
/** After all queues have sent it away, as draining members do. */
const PAUSE_MS = 100;
/** Where no member answers at all it is tried for so long, within the wait: they may be too busy to, or about to be back. */
const UNREACHABLE_MS = 5_000;

export interface WaitingPorts<T> {
  /** Tries to be admitted without waiting. @throws {PoolError} */
  tryNow(effort: Effort): Promise<T>;
  /** The members to wait at, those where it waits already included or not; `waits` is at how many it does. */
  choose(waits: number): Promise<readonly Member[]>;
  /** Stands in a member's queue until the signal aborts: with that, a slot that was granted returns. */
  request(member: Member, waitMs: number, signal: AbortSignal): AsyncIterable<SlotEvent>;
  /** Takes a slot that was granted. Rejects only as `admit` of placement does. */
  claim(member: Member, slot: string): Promise<Admission<T>>;
  /** Is told the best position in any queue, 1 for the next to be served, at first and when it changes. */
  onPosition?: ((position: number) => void) | undefined;
}

export interface WaitingOptions {
  readonly pool: string;
  /** Milliseconds; 0 to be refused at once. */
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Nothing was found, and something may be found later. */
const NOT_NOW = new Set(["all_members_at_capacity", "no_members_available"]);

/**
 * Is admitted at once, or as soon as a slot is granted.
 *
 * @throws {PoolError} `queue_timeout` after `waitMs`; `all_members_at_capacity` when there is no waiting, or the queues are full too; and what
 *   placement throws.
 */
export async function placeOrWait<T>(
  ports: WaitingPorts<T>,
  { pool, waitMs, signal }: WaitingOptions,
): Promise<T> {
  const since = performance.now();
  const until = since + waitMs;
  const waits = new Waits(ports, until);
  let unreachable: PoolError | undefined;
  try {
    try {
      // Whoever waits hears of a slot that moves meanwhile.
      return await ports.tryNow(waitMs === 0 ? "thorough" : "once");
    } catch (error) {
      if (waitMs === 0 || !(error instanceof PoolError) || !NOT_NOW.has(error.code)) throw error;
      if (error.code === "no_members_available") {
        if ((await ports.choose(0)).length === 0) throw error;
        unreachable = error;
      }
    }
    for (;;) {
      signal?.throwIfAborted();
      if (performance.now() >= until)
        throw PoolError.of("queue_timeout", `no slot of pool ${pool} came free in ${waitMs} ms`);
      waits.standAt(await ports.choose(waits.open));
      const granted = await waits.next(
        Math.min(until - performance.now(), LOOK_AGAIN_MS * (0.5 + Math.random())),
        signal,
      );
      if (granted) {
        const admission = await ports.claim(granted.member, granted.slot);
        if ("admitted" in admission) return admission.admitted;
      } else if (waits.over && performance.now() < until) {
        if (unreachable && !waits.reached && performance.now() - since > UNREACHABLE_MS)
          throw unreachable;
        const refusal = waits.refusal;
        if (refusal && refusal.code !== "draining")
          throw refusal.code === "at_capacity" ? queuesFull(pool, refusal) : refusal;
        await pause(PAUSE_MS, signal);
      }
      if (waits.reached) unreachable = undefined;
      if (waits.over || !granted) {
        try {
          return await ports.tryNow("sample");
        } catch (error) {
          if (!(error instanceof PoolError) || !NOT_NOW.has(error.code)) throw error;
        }
      }
    }
  } finally {
    waits.close();
  }
}

function queuesFull(pool: string, cause: PoolError): PoolError {
  return PoolError.of(
    "all_members_at_capacity",
    `pool ${pool}: its members are at capacity, and so are their queues`,
    { cause },
  );
}

interface Granted {
  readonly member: Member;
  readonly slot: string;
}

/** A caller's places in several queues. */
class Waits {
  /** Why the queues sent it away: the last reason that one gave; undefined when they were lost, or timed out. */
  refusal: PoolError | undefined;
  /** Whether any member has answered. */
  reached = false;
  #granted: Granted | undefined;
  readonly #positions = new Map<string, number>();
  readonly #request: WaitingPorts<unknown>["request"];
  readonly #onPosition: ((position: number) => void) | undefined;
  readonly #until: number;
  /** What leaves each queue, by the member's name: the member is another object once the list has changed. */
  readonly #open = new Map<string, AbortController>();
  #best = 0;
  #wake: () => void = () => {};

  constructor(
    { request, onPosition }: Pick<WaitingPorts<unknown>, "request" | "onPosition">,
    until: number,
  ) {
    this.#request = request;
    this.#onPosition = onPosition;
    this.#until = until;
  }

  /** At how many members it waits, or holds a slot. */
  get open(): number {
    return this.#open.size;
  }

  /** Whether it waits nowhere any more. */
  get over(): boolean {
    return this.#open.size === 0 && !this.#granted;
  }

  /** Stands in the queues of these members too. */
  standAt(members: readonly Member[]): void {
    const waitMs = Math.max(1, Math.ceil(this.#until - performance.now()));
    for (const member of members) {
      const { name } = member;
      if (this.#open.has(name)) continue;
      const left = new AbortController();
      this.#open.set(name, left);
      void this.#wait(member, this.#request(member, waitMs, left.signal), left).finally(() => {
        if (this.#open.get(name) !== left) return;
        this.#forget(name);
        this.#wake();
      });
    }
  }

  /** The next slot that is granted; undefined when none is in this time, or it waits nowhere any more. */
  async next(ms: number, signal: AbortSignal | undefined): Promise<Granted | undefined> {
    if (!this.#granted && !this.over) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, ms));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        signal?.addEventListener("abort", this.#wake, { once: true });
      });
      signal?.removeEventListener("abort", this.#wake);
    }
    const granted = this.#granted;
    this.#granted = undefined;
    return granted;
  }

  /** Leaves the queues, and returns the slots that were granted and not taken. */
  close(): void {
    for (const [name, left] of this.#open) this.#leave(name, left);
  }

  #leave(name: string, left: AbortController): void {
    left.abort();
    this.#forget(name);
  }

  #forget(name: string): void {
    this.#open.delete(name);
    this.#positions.delete(name);
  }

  async #wait(
    member: Member,
    events: AsyncIterable<SlotEvent>,
    left: AbortController,
  ): Promise<void> {
    try {
      for await (const event of events) {
        if (left.signal.aborted) return;
        this.reached = true;
        if (event.type === "queued") this.#moved(member.name, event.position);
        else if (event.type === "granted") {
          // At once, before the slot is taken: until then the others could only hold theirs for nobody.
          for (const [name, other] of this.#open) if (other !== left) this.#leave(name, other);
          this.#granted = { member, slot: event.slot.id };
          this.#wake();
        } else this.#refused(errorFor(event.problem as Problem));
      }
    } catch (error) {
      if (!left.signal.aborted)
        this.#refused(
          error instanceof PoolError
            ? error
            : PoolError.of("member_lost", messageOf(error), { cause: error }),
        );
    }
  }

  #refused(error: PoolError): void {
    if (error.code === "member_lost") return;
    this.reached = true;
    if (error.code !== "queue_timeout") this.refusal = error;
  }

  #moved(member: string, position: number): void {
    this.#positions.set(member, position);
    const best = Math.min(...this.#positions.values());
    if (best === this.#best) return;
    this.#best = best;
    this.#onPosition?.(best);
  }
}
