/** One reader of an event log: a cursor, and how long its place is kept when its connection is cut. */
import type { LogEntry } from "./log-entry.ts";

/** The place of a lossless reader whose connection was cut is kept for so long. */
export const RESUME_MS = 5_000;

interface LogPorts {
  /** Until when it may have come for one whose cut has not been noticed; a time of `performance.now()`, 0 for one that does not go on. */
  readonly goesOnUntil: number;
  /** Whether another one has the place of a reader that is cut. */
  cut(reader: LogReader): boolean;
  /** Whether there are other readers. */
  isShared(): boolean;
  next(cursor: number, place: number): LogEntry | undefined | null;
  moved(): void;
  left(reader: LogReader): void;
}

/** Reads a log, once. An entry counts as read when the next one is asked for. */
export class LogReader implements AsyncIterable<LogEntry> {
  /** The id of the last entry read. */
  cursor: number;
  /** Bytes of output up to and with that entry. */
  place: number;
  /** The id of the last entry given out. */
  given: number;
  lossless: boolean;
  readonly #after: number;
  readonly #ports: LogPorts;
  #wake: (() => void) | undefined;
  #kept: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(cursor: number, place: number, lossless: boolean, ports: LogPorts) {
    this.cursor = cursor;
    this.given = cursor;
    this.#after = cursor;
    this.place = place;
    this.lossless = lossless;
    this.#ports = ports;
  }

  /** Tells the reader to look again. */
  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Whether its connection was cut, and its place is kept. */
  get isCut(): boolean {
    return this.#kept !== undefined;
  }

  /** Leaves the log when nobody has gone on in its place in time; a loop over the reader ends at once. */
  cut(): void {
    if (this.#closed || this.#kept) return;
    if (this.lossless && !this.#ports.cut(this))
      this.#kept = setTimeout(() => this.close(), RESUME_MS).unref();
    else this.close();
    this.wake();
  }

  /** Takes the place of a reader that was cut with this event, if it has come to go on for it. */
  goesOnFor(given: number): boolean {
    if (this.lossless || this.#after > given || performance.now() > this.#ports.goesOnUntil)
      return false;
    this.lossless = true;
    return true;
  }

  /** Leaves the log; a loop over the reader ends. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#kept);
    this.#ports.left(this);
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogEntry, void, undefined> {
    try {
      while (!this.#closed && !this.#kept) {
        const entry = this.#ports.next(this.cursor, this.place);
        if (entry === null) return;
        if (entry === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          continue;
        }
        if (this.#ports.isShared()) entry.keepFrame();
        this.given = entry.id;
        yield entry;
        this.cursor = entry.id;
        this.place = entry.to;
        this.#ports.moved();
      }
    } finally {
      if (!this.#kept) this.close();
    }
  }
}
