/** One member's part of a wait: a stream of slots for all callers of a line. */
import { errorFor, messageOf, PoolError, type Problem } from "../../../../openapi/errors.ts";
import type { SlotEvent } from "../../../../openapi/events.ts";
import type { SlotStream } from "../member-client.ts";

/**
 * 250 ms between two changes of the number of slots that the member counts. A member that counts
 * none hears at once that callers wait.
 */
const CHANGE_INTERVAL_MS = 250;

export interface SubscriptionPorts {
  /** Opens the stream, for so many slots, until the signal aborts. */
  open(count: number, signal: AbortSignal): Promise<SlotStream>;
  /** The callers that could use a slot of this member. */
  wanted(): number;
  /** Takes a slot, which {@link SlotSubscription.settle} ends. */
  onGrant(slot: string): void;
  /** Called when the member has told a position, or how many slots it counts. */
  onNews(): void;
}

export class SlotSubscription {
  /** The position of the next slot: `Infinity` until the member tells it. */
  position = Number.POSITIVE_INFINITY;
  /** Slots that the member agreed to count, when it was last asked for `asked`. */
  agreed: number | undefined;
  asked = 0;
  /** Whether the member has answered. */
  reached = false;
  /** Why the member serves no more; undefined when it was lost, or its time was over. */
  refusal: PoolError | undefined;
  readonly #ports: SubscriptionPorts;
  readonly #closing = new AbortController();
  #stream: SlotStream | undefined;
  /** Slots that the member counts now, as far as its events have arrived. */
  #counted = 0;
  #granted = 0;
  /** Granted slots whose claims are under way. */
  #held = 0;
  #isChanging = false;
  #isTold = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ports: SubscriptionPorts) {
    this.#ports = ports;
  }

  /** Reads the stream. Resolves when it has ended, whatever the reason. */
  async run(): Promise<void> {
    const { signal } = this.#closing;
    try {
      this.asked = this.#ports.wanted();
      if (this.asked === 0) return;
      this.#counted = this.asked;
      this.#stream = await this.#ports.open(this.asked, signal);
      for await (const event of this.#stream.events) {
        if (signal.aborted) return;
        this.reached = true;
        this.#read(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#refuse(
        error instanceof PoolError
          ? error
          : PoolError.of("member_lost", messageOf(error), { admitted: false, cause: error }),
      );
    } finally {
      this.close();
    }
  }

  /** Tells the member, soon, how many callers wait. Closes the stream when it is of no more use. */
  update(): void {
    if (this.#isChanging || this.#closing.signal.aborted) return;
    // A full queue agrees to none.
    const isUrgent = this.#ports.wanted() === 0 || (this.#counted <= 0 && this.agreed !== 0);
    if (isUrgent) this.#change();
    else this.#timer ??= setTimeout(() => this.#change(), CHANGE_INTERVAL_MS);
  }

  /** Ends the hold of a granted slot, which a child has taken, or which is given back. */
  settle(): void {
    this.#held -= 1;
    this.update();
  }

  /** Ends the stream. The member takes back the slots that were granted and not taken. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closing.abort();
  }

  #read(event: SlotEvent): void {
    if (event.type === "failed") this.#refuse(errorFor(event.problem as Problem));
    else if (event.type === "granted") {
      this.#counted -= 1;
      this.#granted += 1;
      this.#held += 1;
      this.#ports.onGrant(event.slot.id);
    } else {
      const { position, count } = event;
      // The first event answers the request itself. Later ones may be older than the last change.
      // An older member does not count; it takes the next request when this one has ended.
      this.agreed ??= count === undefined ? Number.POSITIVE_INFINITY : count + this.#granted;
      this.position = position;
      this.#counted = count ?? 1;
      this.#isTold = true;
      this.#ports.onNews();
    }
    this.update();
  }

  #change(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const wanted = this.#ports.wanted();
    const change = this.#stream?.change;
    if (wanted === 0 && this.#held === 0) this.close();
    else if (change && wanted !== this.#counted) this.#ask(change, wanted);
  }

  #ask(change: (count: number) => Promise<number>, wanted: number): void {
    this.#isChanging = true;
    this.#isTold = false;
    change(wanted).then(
      (agreed) => {
        if (this.#closing.signal.aborted) return;
        this.#isChanging = false;
        this.asked = wanted;
        this.agreed = agreed;
        // The event on the stream is more exact, but may come later.
        if (!this.#isTold) this.#counted = agreed;
        this.#ports.onNews();
        this.update();
      },
      () => {
        // A lost member ends the stream. Others may take the next change.
        this.#isChanging = false;
        if (!this.#closing.signal.aborted)
          this.#timer ??= setTimeout(() => this.#change(), CHANGE_INTERVAL_MS);
      },
    );
  }

  #refuse(error: PoolError): void {
    if (error.code === "member_lost") return;
    this.reached = true;
    if (error.code !== "queue_timeout") this.refusal = error;
  }
}
