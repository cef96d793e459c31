/**
 * The event log of one child: every reader sees the same events under the same ids.
 *
 * The log is a ring, bounded in bytes and in entries. Its readers differ in what they do to it:
 *
 * - A lossless reader holds the ring back. While it is a whole ring behind, the log is not
 *   `writable`; the server stops reading the child, which sees a full pipe. Entries that it has
 *   read are kept for a while: a cut may have lost them on their way.
 * - Any other reader that falls behind finds a `gap`, which says how many bytes of output it
 *   missed.
 * - Without readers the log never waits.
 */
import { PoolError } from "../../../openapi/errors.ts";
import {
  type EventOf,
  type EventType,
  isTerminalType,
  type PoolEvent,
  type TerminalEvent,
} from "../../../openapi/events.ts";
import type { Holding } from "../../http/bodies/held-bytes.ts";
import { LogEntry, type OutputEncoding, outputEvent } from "./log-entry.ts";
import { type LogAccess, LogReader } from "./log-reader.ts";
import { Ring } from "./ring.ts";

/** 1 MiB: the default bound of a ring, in bytes of output. */
export const RING_BYTES = 1024 * 1024;
/** 16,384 entries per ring. An entry takes some 200 bytes beside its output. */
export const RING_ENTRIES = 16_384;
/**
 * 10 MiB per lossless reader: so many bytes are kept after the reader has read them, because a cut
 * loses the bytes in the sockets. `test/http/cuts.test.ts` lost up to 6 MiB, and 9 MiB through a
 * gateway. With the ring and the allocator's overhead this stays below the 16 MB that a reader may
 * cost (`test/bench/more/stalled.ts`).
 */
const IN_FLIGHT_BYTES = 10 * 1024 * 1024;
/**
 * 15 s: a client may reconnect before the server notices that its old connection died. For this
 * long, the new reader may take over the old one's position.
 */
const CUT_DETECTION_MS = 15_000;

/** Where a reader begins, and whether it accepts losses. */
export interface ReadOptions {
  /** Begin behind the event of this id. Default 0: with the first event. */
  readonly after?: number | undefined;
  /** Begin with the entry that holds this byte of stdout, or behind all entries. The first is 0. */
  readonly stdoutFrom?: number | undefined;
  /** Whether the log waits for this reader. Default false. */
  readonly lossless?: boolean | undefined;
  /** Refuse a reader that would miss a part of stdout or the terminal event. Default false. */
  readonly whole?: boolean | undefined;
}

export class EventLog {
  readonly #maxBytes: number;
  readonly #held: Holding | undefined;
  readonly #ring = new Ring();
  readonly #readers = new Set<LogReader>();
  readonly #access: LogAccess = {
    readers: this.#readers,
    next: (reader) => this.#next(reader),
    keepsMore: () => this.#ring.keptBytes > this.#maxBytes,
    onMoved: () => this.#onReadersMoved(),
  };
  #closed = false;
  /** Resolves when the log is writable again. */
  #writableAgain: PromiseWithResolvers<void> | undefined;

  /**
   * @param maxBytes the bound of the ring, in bytes of output.
   * @param held the account of the bytes. While it is full, no bytes are kept for cut readers.
   */
  constructor(maxBytes = RING_BYTES, held?: Holding) {
    this.#maxBytes = maxBytes;
    this.#held = held;
  }

  /** Whether the server may read more output: no lossless reader is a whole ring behind. */
  get writable(): boolean {
    const { outputBytes, nextId } = this.#ring;
    return ![...this.#readers].some(
      ({ lossless, position, cursor }) =>
        lossless &&
        (outputBytes - position >= this.#maxBytes || nextId - 1 - cursor >= RING_ENTRIES),
    );
  }

  /** Resolves when the log is writable. */
  async untilWritable(): Promise<void> {
    while (!this.writable) {
      this.#writableAgain ??= Promise.withResolvers();
      await this.#writableAgain.promise;
    }
  }

  /** The terminal event, once it is in the log. */
  get terminal(): TerminalEvent | undefined {
    const last = this.#closed ? this.#ring.get(this.#ring.nextId - 1) : undefined;
    return last?.event as TerminalEvent | undefined;
  }

  /** Whether the event of this id is the terminal one. */
  endsWith(id: number): boolean {
    return this.#closed && id === this.#ring.nextId - 1;
  }

  /** Bytes of stdout that the child has written so far. */
  get stdoutBytes(): number {
    return this.#ring.stdoutBytes;
  }

  /** Bytes of memory that the log holds. */
  get heldBytes(): number {
    return this.#ring.heldBytes;
  }

  /** Appends an event other than output. A terminal event closes the log. */
  append(event: PoolEvent): void {
    this.#add(event.type, () => event);
  }

  /** Appends output. The entry keeps the bytes as they are; see {@link outputEvent}. */
  write(type: "stdout" | "stderr", bytes: Buffer, encoding: OutputEncoding): void {
    this.#add(type, () => outputEvent(type, bytes, encoding), bytes);
  }

  #add(type: EventType, make: () => PoolEvent, bytes?: Buffer): void {
    if (this.#closed) throw new Error(`the log is closed; got ${type}`);
    this.#ring.push(type, make, bytes);
    this.#closed = isTerminalType(type);
    this.#evict();
    for (const reader of this.#readers) reader.wake();
  }

  /**
   * Opens a reader. A reader that resumes where a lossless one was cut is lossless itself, if it
   * comes in time.
   *
   * @throws {PoolError} `invalid_request` for an event or a byte that is still to come;
   *   `events_expired` for an event so old that the gap behind it cannot be counted, or, with
   *   `whole`, for an event that was evicted.
   */
  read(options: ReadOptions = {}): LogReader {
    const { after, stdoutFrom, lossless = false } = options;
    const cursor = this.#startOf(options);
    const position = this.#ring.offsetBehind(cursor);
    if (position === undefined)
      throw PoolError.of(
        "events_expired",
        `event ${cursor} is too long ago: the oldest event kept is ${this.#ring.oldest?.id}`,
      );
    const isResumed = (after ?? stdoutFrom) !== undefined;
    const cut = isResumed
      ? [...this.#readers].find((reader) => reader.isCut && reader.sentId >= cursor)
      : undefined;
    const reader = new LogReader(
      {
        cursor,
        position,
        lossless: lossless || cut !== undefined,
        takeoverUntilMs: isResumed ? performance.now() + CUT_DETECTION_MS : 0,
      },
      this.#access,
    );
    cut?.close();
    return reader;
  }

  /** The id behind which a reader begins. */
  #startOf({ after, stdoutFrom, whole = false }: ReadOptions): number {
    const { nextId, oldest } = this.#ring;
    const firstByte = stdoutFrom ?? (whole && after === undefined ? 0 : undefined);
    const start = firstByte === undefined ? (after ?? 0) : this.#idBeforeStdout(firstByte);
    if (start >= nextId)
      throw PoolError.of(
        "invalid_request",
        `expected the id of an event up to ${nextId - 1}; got ${start}`,
      );
    if (whole && oldest && start < oldest.id - 1)
      throw PoolError.of(
        "events_expired",
        `event ${start + 1} is no longer kept: the oldest is ${oldest.id}`,
      );
    // A reader of the whole always gets the terminal event, which says how the child ended.
    return whole && this.#closed ? Math.min(start, nextId - 2) : start;
  }

  #idBeforeStdout(byte: number): number {
    const { stdoutBytes, oldest } = this.#ring;
    if (byte > stdoutBytes)
      throw PoolError.of(
        "invalid_request",
        `expected a byte of stdout up to ${stdoutBytes}; got ${byte}`,
      );
    if (oldest && byte < oldest.stdoutFrom)
      throw PoolError.of(
        "events_expired",
        `byte ${byte} of stdout is no longer kept: the oldest is ${oldest.stdoutFrom}`,
      );
    return this.#ring.idBeforeStdout(byte);
  }

  /** The entry after a cursor: a gap if evicted, undefined if it may come, null at the end. */
  #next({ cursor, position }: LogReader): LogEntry | undefined | null {
    const { oldest, nextId } = this.#ring;
    if (!oldest || cursor + 1 >= nextId) return this.#closed ? null : undefined;
    if (cursor + 1 >= oldest.id) return this.#ring.get(cursor + 1);
    const gap: EventOf<"gap"> = { type: "gap", droppedBytes: oldest.from - position };
    // The gap has the id of the last event that is missing: a reader that resumes from it begins
    // with the oldest one kept.
    return new LogEntry(
      {
        id: oldest.id - 1,
        type: "gap",
        bytes: undefined,
        to: oldest.from,
        stdoutTo: oldest.stdoutFrom,
      },
      () => gap,
    );
  }

  #onReadersMoved(): void {
    this.#evict();
    if (!this.#writableAgain || !this.writable) return;
    this.#writableAgain.resolve();
    this.#writableAgain = undefined;
  }

  /** Evicts entries beyond the ring, unless a lossless reader needs them, or may again. */
  #evict(): void {
    let firstUnread = Number.POSITIVE_INFINITY;
    let firstInFlight = Number.POSITIVE_INFINITY;
    for (const { lossless, cursor, position } of this.#readers) {
      if (!lossless) continue;
      firstUnread = Math.min(firstUnread, cursor + 1);
      firstInFlight = Math.min(firstInFlight, position - IN_FLIGHT_BYTES);
    }
    const ring = this.#ring;
    for (let { oldest } = ring; oldest && ring.size > 1; { oldest } = ring) {
      const isWithinEntries = ring.size <= RING_ENTRIES;
      const isWithinBytes = ring.keptBytes <= this.#maxBytes;
      const isInFlight = oldest.to > firstInFlight && !this.#held?.isFull;
      if (oldest.id >= firstUnread || (isWithinEntries && (isWithinBytes || isInFlight))) break;
      ring.evict();
    }
    this.#held?.set(ring.heldBytes);
  }
}
