/**
 * The event log of one child: every reader sees the same events under the same ids.
 *
 * It is a ring bounded in bytes and in entries. A lossless reader holds the ring back: while it is behind by the whole ring the log is
 * not `writable`, and whoever fills the log stops reading the child, to which that looks like a full pipe. What it has read is kept for
 * a while longer: it may have been on its way when the connection was cut, and whoever goes on in time misses nothing. Any other
 * reader that falls behind finds a `gap` that says how many bytes of output it missed. Without readers nothing waits.
 */
import { PoolError } from "../../../openapi/errors.ts";
import {
  type EventOf,
  type EventType,
  isTerminalType,
  type PoolEvent,
} from "../../../openapi/events.ts";
import { LogEntry, type OutputEncoding, outputEvent } from "./log-entry.ts";
import { LogReader } from "./log-reader.ts";

/** Default bound of a ring, in bytes of output. */
export const RING_BYTES = 1024 * 1024;
/** Bound of a ring in entries: one takes some 200 bytes beside its output, which may be a single byte. */
export const RING_ENTRIES = 16_384;
/**
 * So many bytes that a lossless reader has read are kept: they may be in the sockets on the way, whose size is the kernels' business. Those to a
 * reader held up to 6 MiB when `test/http/cuts.test.ts` cut them, and by way of a gateway 9. With the ring, and what the allocator takes, it
 * stays below the 16 MB that a reader may cost (`test/bench/stalled.ts`).
 */
const ON_THE_WAY_BYTES = 10 * 1024 * 1024;
/** Whoever goes on may come so much earlier than the cut is noticed here. */
const UNNOTICED_MS = 15_000;
/** The places of so many events that were let go are remembered, so that a gap can be counted exactly. */
const REMEMBERED_PLACES = 65_536;

/** Where a reader begins, and what it can do without. */
export interface ReadOptions {
  /** Behind the event of this id. Default 0: with the first one. */
  readonly after?: number | undefined;
  /** Instead of that, with this byte of stdout, the first one being 0: in the first entry that has it, or behind all there are. */
  readonly stdoutFrom?: number | undefined;
  /** The log waits for it. Default false. */
  readonly lossless?: boolean | undefined;
  /** It wants all of stdout, and how the child ended: it would rather be refused than miss any of that. Default false. */
  readonly whole?: boolean | undefined;
}

export class EventLog {
  readonly #limit: number;
  readonly #entries: (LogEntry | undefined)[] = [];
  /** Index of the oldest entry kept; the array is compacted now and then. */
  #head = 0;
  /** `to` of the entries before the oldest kept one, the last of them last. */
  #places: number[] = [];
  #written = 0;
  #stdoutWritten = 0;
  #nextId = 1;
  #closed = false;
  readonly #readers = new Set<LogReader>();
  #writableWaiters: (() => void)[] = [];

  /** @param limitBytes the ring's size in bytes of output. */
  constructor(limitBytes = RING_BYTES) {
    this.#limit = limitBytes;
  }

  /** Whether the child's output may be read on: no lossless reader is a whole ring behind. */
  get writable(): boolean {
    for (const { lossless, place, cursor } of this.#readers) {
      if (
        lossless &&
        (this.#written - place >= this.#limit || this.#nextId - 1 - cursor >= RING_ENTRIES)
      )
        return false;
    }
    return true;
  }

  /** Resolves when the log is writable. */
  async untilWritable(): Promise<void> {
    while (!this.writable)
      await new Promise<void>((resolve) => this.#writableWaiters.push(resolve));
  }

  /** Whether the terminal event is in the log. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the event of this id is the terminal one. */
  endsWith(id: number): boolean {
    return this.#closed && id === this.#nextId - 1;
  }

  /** How many bytes the log holds: its share of the member's memory. */
  get heldBytes(): number {
    let sum = 0;
    for (let index = this.#head; index < this.#entries.length; index++)
      sum += this.#entries[index]?.heldBytes ?? 0;
    return sum;
  }

  /** Appends an event that is no output; a terminal one closes the log. */
  append(event: PoolEvent): void {
    this.#add(event.type, () => event);
  }

  /** Appends output. As text, bytes that are no UTF-8 are replaced in the event, and stay as they are in the entry. */
  write(type: "stdout" | "stderr", bytes: Buffer, encoding: OutputEncoding): void {
    this.#add(type, () => outputEvent(type, bytes, encoding), bytes);
  }

  #add(type: EventType, make: () => PoolEvent, bytes?: Buffer): void {
    if (this.#closed) throw new Error(`the log is closed; got ${type}`);
    this.#written += bytes?.length ?? 0;
    if (type === "stdout") this.#stdoutWritten += bytes?.length ?? 0;
    this.#entries.push(
      new LogEntry(this.#nextId++, type, make, {
        to: this.#written,
        stdoutTo: this.#stdoutWritten,
        bytes,
      }),
    );
    this.#closed = isTerminalType(type);
    this.#evict();
    for (const reader of this.#readers) reader.wake();
  }

  /**
   * A reader, which counts as one from now on. One that goes on where a lossless reader was cut, within {@link RESUME_MS}, is lossless itself.
   *
   * @throws {PoolError} `invalid_request` for an event or a byte that is still to come; `events_expired` for an event so old that what
   *   came after it can no longer be counted, and where the reader would rather be refused.
   */
  read({
    after: afterId,
    stdoutFrom,
    lossless = false,
    whole = false,
  }: ReadOptions = {}): LogReader {
    const firstByte = stdoutFrom ?? (whole && afterId === undefined ? 0 : undefined);
    let after = firstByte === undefined ? (afterId ?? 0) : this.#beforeStdout(firstByte);
    const goesOn = (afterId ?? stdoutFrom) !== undefined;
    if (after >= this.#nextId)
      throw PoolError.of(
        "invalid_request",
        `expected the id of an event up to ${this.#nextId - 1}; got ${after}`,
      );
    // Behind the terminal event nothing would tell how the child ended.
    if (whole && this.#closed) after = Math.min(after, this.#nextId - 2);
    const oldest = this.#entries[this.#head];
    const back = oldest ? oldest.id - 1 - after : 0;
    if (whole && back > 0)
      throw PoolError.of(
        "events_expired",
        `event ${after + 1} is no longer kept: the oldest is ${oldest?.id}`,
      );
    let place = 0;
    if (after > 0) {
      if (oldest && back >= 0) {
        const known = this.#places.at(-1 - back);
        if (known === undefined)
          throw PoolError.of(
            "events_expired",
            `event ${after} is too long ago: the oldest event kept is ${oldest.id}`,
          );
        place = known;
      } else place = this.#entries[this.#head + after - (oldest?.id ?? 0)]?.to ?? 0;
    }
    const cut = goesOn
      ? [...this.#readers].find((each) => each.isCut && each.given >= after)
      : undefined;
    const reader = new LogReader(after, place, lossless || cut !== undefined, {
      goesOnUntil: goesOn ? performance.now() + UNNOTICED_MS : 0,
      cut: (gone) => this.#inherit(gone),
      isShared: () => this.#readers.size > 1,
      next: (cursor, at) => this.#next(cursor, at),
      moved: () => this.#moved(),
      left: (gone) => {
        this.#readers.delete(gone);
        this.#moved();
      },
    });
    this.#readers.add(reader);
    cut?.close();
    return reader;
  }

  /** Gives the place of a reader that is cut to the one that goes on for it already. False when there is none. */
  #inherit({ given }: LogReader): boolean {
    for (const reader of this.#readers) if (reader.goesOnFor(given)) return true;
    return false;
  }

  /** The id behind which a byte of stdout comes. */
  #beforeStdout(byte: number): number {
    if (byte > this.#stdoutWritten)
      throw PoolError.of(
        "invalid_request",
        `expected a byte of stdout up to ${this.#stdoutWritten}; got ${byte}`,
      );
    const oldest = this.#entries[this.#head];
    if (!oldest) return 0;
    if (byte < oldest.stdoutFrom)
      throw PoolError.of(
        "events_expired",
        `byte ${byte} of stdout is no longer kept: the oldest is ${oldest.stdoutFrom}`,
      );
    return (
      this.#entries.findLast((entry) => entry?.type === "stdout" && entry.stdoutTo <= byte)?.id ??
      oldest.id - 1
    );
  }

  /** The entry after a cursor, a gap where it has been let go, undefined where it is still to come, null at the end. */
  #next(cursor: number, place: number): LogEntry | undefined | null {
    const oldest = this.#entries[this.#head];
    if (!oldest || cursor + 1 >= this.#nextId) return this.#closed ? null : undefined;
    if (cursor + 1 < oldest.id) {
      const gap: EventOf<"gap"> = { type: "gap", droppedBytes: oldest.from - place };
      // The id of the last event that is missing: whoever resumes from it goes on with the oldest one kept.
      return new LogEntry(oldest.id - 1, "gap", () => gap, {
        to: oldest.from,
        stdoutTo: oldest.stdoutFrom,
        bytes: undefined,
      });
    }
    return this.#entries[this.#head + cursor + 1 - oldest.id];
  }

  #moved(): void {
    this.#evict();
    if (this.#writableWaiters.length === 0 || !this.writable) return;
    const waiters = this.#writableWaiters;
    this.#writableWaiters = [];
    for (const wake of waiters) wake();
  }

  /** Lets go of the oldest entries beyond the ring, but for those that a lossless reader still needs, or may need again. */
  #evict(): void {
    let unread = Number.POSITIVE_INFINITY;
    let onTheWay = Number.POSITIVE_INFINITY;
    for (const { lossless, cursor, place } of this.#readers) {
      if (!lossless) continue;
      unread = Math.min(unread, cursor + 1);
      onTheWay = Math.min(onTheWay, place - ON_THE_WAY_BYTES);
    }
    while (this.#head < this.#entries.length - 1) {
      const oldest = this.#entries[this.#head] as LogEntry;
      const few = this.#entries.length - this.#head <= RING_ENTRIES;
      const fits = this.#written - oldest.from <= this.#limit;
      if (oldest.id >= unread || (few && (fits || oldest.to > onTheWay))) break;
      this.#places.push(oldest.to);
      this.#entries[this.#head] = undefined;
      this.#head += 1;
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
    if (this.#places.length > REMEMBERED_PLACES * 2)
      this.#places = this.#places.slice(-REMEMBERED_PLACES);
  }
}
