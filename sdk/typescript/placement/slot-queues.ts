/** The queues of several members that one caller stands in at the same time. */
import { errorFor, messageOf, PoolError, type Problem } from "../../../openapi/errors.ts";
import type { SlotEvent } from "../../../openapi/events.ts";
import type { Deadline } from "../time/deadline.ts";
import { within } from "../time/within.ts";
import type { Member } from "./members.ts";

export interface SlotQueuesOptions {
  /**
   * Stands in a member's queue for `waitMs` milliseconds, until the signal aborts. The abort also
   * returns a slot that was granted.
   */
  request(member: Member, waitMs: number, signal: AbortSignal): AsyncIterable<SlotEvent>;
  /**
   * Called with the best position in any queue, 1 for the next to be served: first, and at each
   * change.
   */
  readonly onPosition?: ((position: number) => void) | undefined;
}

/** A slot that waits for this caller to take it. */
export interface GrantedSlot {
  readonly member: Member;
  readonly slot: string;
}

/** One queue, and what leaves it. The position is `Infinity` until the member tells it. */
interface Queue {
  readonly leaving: AbortController;
  position: number;
}

export class SlotQueues {
  /** The last refusal of a queue; undefined when the queues were lost or timed out. */
  refusal: PoolError | undefined;
  /** Whether any member has answered. */
  reached = false;
  #granted: GrantedSlot | undefined;
  readonly #options: SlotQueuesOptions;
  readonly #deadline: Deadline;
  /**
   * The queues by the member's name. A member is not the key, because each change of the list makes
   * new objects of the members.
   */
  readonly #queues = new Map<string, Queue>();
  #bestPosition = 0;
  #wake: () => void = () => {};

  /** @param deadline of the whole wait. */
  constructor(options: SlotQueuesOptions, deadline: Deadline) {
    this.#options = options;
    this.#deadline = deadline;
  }

  /** The number of queues, including that of a member whose slot is held. */
  get count(): number {
    return this.#queues.size;
  }

  /** Whether the caller stands in no queue and holds no slot. */
  get isEmpty(): boolean {
    return this.count === 0 && !this.#granted;
  }

  /** Joins the queues of these members, beside those that were joined before. */
  join(members: readonly Member[]): void {
    const waitMs = Math.max(1, Math.ceil(this.#deadline.remainingMs));
    for (const member of members) {
      const { name } = member;
      if (this.#queues.has(name)) continue;
      const queue = { leaving: new AbortController(), position: Number.POSITIVE_INFINITY };
      this.#queues.set(name, queue);
      void this.#wait(member, queue, waitMs).finally(() => {
        if (this.#queues.get(name) !== queue) return;
        this.#queues.delete(name);
        this.#wake();
      });
    }
  }

  /** The next granted slot; undefined when none is granted in `ms`, or no queue is left. */
  async next(ms: number, signal: AbortSignal | undefined): Promise<GrantedSlot | undefined> {
    if (!this.#granted && this.count > 0) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      signal?.addEventListener("abort", this.#wake);
      await within(Math.max(0, ms), woken);
      signal?.removeEventListener("abort", this.#wake);
    }
    const granted = this.#granted;
    this.#granted = undefined;
    return granted;
  }

  /** Leaves the queues, and returns the slots that were granted and not taken. */
  close(): void {
    this.#leaveAllBut();
  }

  #leaveAllBut(chosen?: Queue) {
    for (const [name, queue] of this.#queues) {
      if (queue === chosen) continue;
      queue.leaving.abort();
      this.#queues.delete(name);
    }
  }

  async #wait(member: Member, queue: Queue, waitMs: number): Promise<void> {
    const { signal } = queue.leaving;
    try {
      for await (const event of this.#options.request(member, waitMs, signal)) {
        if (signal.aborted) return;
        this.reached = true;
        if (event.type === "queued") this.#moveTo(queue, event.position);
        else if (event.type === "granted") {
          // The caller leaves the other queues at once, so that none of them holds a slot in vain.
          this.#leaveAllBut(queue);
          this.#granted = { member, slot: event.slot.id };
          this.#wake();
        } else this.#refuse(errorFor(event.problem as Problem));
      }
    } catch (error) {
      if (!signal.aborted)
        this.#refuse(
          error instanceof PoolError
            ? error
            : PoolError.of("member_lost", messageOf(error), { admitted: false, cause: error }),
        );
    }
  }

  #refuse(error: PoolError): void {
    if (error.code === "member_lost") return;
    this.reached = true;
    if (error.code !== "queue_timeout") this.refusal = error;
  }

  #moveTo(queue: Queue, position: number): void {
    queue.position = position;
    const best = Math.min(...[...this.#queues.values()].map((each) => each.position));
    if (best === this.#bestPosition) return;
    this.#bestPosition = best;
    this.#options.onPosition?.(best);
  }
}
