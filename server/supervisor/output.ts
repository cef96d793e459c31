/**
 * The event log of one child: every reader sees the same events under the same ids.
 *
 * It is a ring bounded in bytes and in entries. A lossless reader holds the ring back: while it is behind by the whole ring the log is
 * not `writable`, and whoever fills the log stops reading the child, to which that looks like a full pipe. Any other
 * reader that falls behind finds a `gap` that says how many bytes of output it missed. Without readers nothing waits.
 */
import { type EventOf, type EventType, isTerminalType, type PoolEvent } from "../../openapi/events.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";

/** An event as it is kept and sent: its data is serialised once. */
export interface LogEntry {
  readonly id: number;
  readonly type: EventType;
  /** The event as one line of JSON. */
  readonly data: string;
}

interface Kept extends LogEntry {
  /** Bytes of output in the log before this entry, and with it. */
  readonly from: number;
  readonly to: number;
}

/** Default bound of a ring, in bytes of output. */
export const RING_BYTES = 1024 * 1024;
/** Bound of a ring in entries: one takes some 200 bytes beside its output, which may be a single byte. */
export const RING_ENTRIES = 16_384;
/** The places of so many events that were let go are remembered, so that a gap can be counted exactly. */
const REMEMBERED_PLACES = 65_536;

export class EventLog {
  readonly #limit: number;
  readonly #entries: (Kept | undefined)[] = [];
  /** Index of the oldest entry kept; the array is compacted now and then. */
  #head = 0;
  /** `to` of the entries before the oldest kept one, the last of them last. */
  #places: number[] = [];
  #written = 0;
  #heldChars = 0;
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
      if (lossless && (this.#written - place >= this.#limit || this.#nextId - 1 - cursor >= RING_ENTRIES)) return false;
    }
    return true;
  }

  /** Resolves when the log is writable. */
  async untilWritable(): Promise<void> {
    while (!this.writable) await new Promise<void>((resolve) => this.#writableWaiters.push(resolve));
  }

  /** Whether the terminal event is in the log. */
  get closed(): boolean {
    return this.#closed;
  }

  /** How much text the log holds, in characters: its share of the member's memory. */
  get heldChars(): number {
    return this.#heldChars;
  }

  /** Appends an event; a terminal one closes the log. `outputBytes` is how many bytes of output it carries. */
  append(event: PoolEvent, outputBytes = 0): void {
    if (this.#closed) throw new Error(`the log is closed; got ${event.type}`);
    const from = this.#written;
    this.#written += outputBytes;
    const data = JSON.stringify(event);
    this.#entries.push({ id: this.#nextId++, type: event.type, data, from, to: this.#written });
    this.#heldChars += data.length;
    this.#closed = isTerminalType(event.type);
    this.#evict();
    for (const reader of this.#readers) reader.wake();
  }

  /**
   * A reader of the events after `after` (default 0: from the first one). It counts as a reader from now on.
   *
   * @throws {PoolError} `invalid_request` for an id that is still to come; `events_expired` for one so old that what came
   *   after it can no longer be counted.
   */
  read({ after = 0, lossless = false }: { after?: number; lossless?: boolean } = {}): LogReader {
    if (after >= this.#nextId) throw PoolError.of("invalid_request", `expected the id of an event up to ${this.#nextId - 1}; got ${after}`);
    const oldest = this.#entries[this.#head];
    let place = 0;
    if (after > 0) {
      const back = oldest ? oldest.id - 1 - after : 0;
      if (oldest && back >= 0) {
        const known = this.#places.at(-1 - back);
        if (known === undefined) throw PoolError.of("events_expired", `event ${after} is too long ago: the oldest event kept is ${oldest.id}`);
        place = known;
      } else place = this.#entries[this.#head + after - (oldest?.id ?? 0)]?.to ?? 0;
    }
    const reader = new LogReader(after, place, lossless, {
      next: (cursor, at) => this.#next(cursor, at),
      moved: () => this.#moved(),
      left: (gone) => {
        this.#readers.delete(gone);
        this.#moved();
      },
    });
    this.#readers.add(reader);
    return reader;
  }

  /** The entry after a cursor, a gap where it has been let go, undefined where it is still to come, null at the end. */
  #next(cursor: number, place: number): (LogEntry & { readonly to: number }) | undefined | null {
    const oldest = this.#entries[this.#head];
    if (!oldest || cursor + 1 >= this.#nextId) return this.#closed ? null : undefined;
    if (cursor + 1 < oldest.id) {
      const gap: EventOf<"gap"> = { type: "gap", droppedBytes: oldest.from - place };
      // The id of the last event that is missing: whoever resumes from it goes on with the oldest one kept.
      return { id: oldest.id - 1, type: "gap", data: JSON.stringify(gap), to: oldest.from };
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

  /** Lets go of the oldest entries beyond the ring, but for those that a lossless reader still needs. */
  #evict(): void {
    let needed = Number.POSITIVE_INFINITY;
    for (const reader of this.#readers) if (reader.lossless) needed = Math.min(needed, reader.cursor + 1);
    while (this.#head < this.#entries.length - 1) {
      const oldest = this.#entries[this.#head] as Kept;
      const fits = this.#written - oldest.from <= this.#limit && this.#entries.length - this.#head <= RING_ENTRIES;
      if (fits || oldest.id >= needed) break;
      this.#places.push(oldest.to);
      this.#heldChars -= oldest.data.length;
      this.#entries[this.#head] = undefined;
      this.#head += 1;
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
    if (this.#places.length > REMEMBERED_PLACES * 2) this.#places = this.#places.slice(-REMEMBERED_PLACES);
  }
}

interface LogPorts {
  next(cursor: number, place: number): (LogEntry & { readonly to: number }) | undefined | null;
  moved(): void;
  left(reader: LogReader): void;
}

/** Reads a log, once. An entry counts as read when the next one is asked for. */
export class LogReader implements AsyncIterable<LogEntry> {
  /** The id of the last entry read. */
  cursor: number;
  /** Bytes of output up to and with that entry. */
  place: number;
  readonly lossless: boolean;
  readonly #ports: LogPorts;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(cursor: number, place: number, lossless: boolean, ports: LogPorts) {
    this.cursor = cursor;
    this.place = place;
    this.lossless = lossless;
    this.#ports = ports;
  }

  /** Tells the reader to look again. */
  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Leaves the log; a loop over the reader ends. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ports.left(this);
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogEntry, void, undefined> {
    try {
      while (!this.#closed) {
        const entry = this.#ports.next(this.cursor, this.place);
        if (entry === null) return;
        if (entry === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          continue;
        }
        yield entry;
        this.cursor = entry.id;
        this.place = entry.to;
        this.#ports.moved();
      }
    } finally {
      this.close();
    }
  }
}
