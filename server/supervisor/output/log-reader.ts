/** One reader of an event log: a cursor whose position outlives a cut of the connection. */
import type { LogEntry } from "./log-entry.ts";

/**
 * 5 s: how long the position of a lossless reader is kept after its connection was cut, or after
 * its end where more than the ring is kept.
 */
const RESUME_MS = 5_000;

/** The log, as its readers see it. */
export interface LogAccess {
  readonly readers: Set<LogReader>;
  /** The entry after a cursor; undefined where it is still to come, null at the end. */
  next(reader: LogReader): LogEntry | undefined | null;
  /** Whether entries are kept that no longer fit into the ring. */
  keepsMore(): boolean;
  /** Called when a reader has read an entry, or has left. */
  onMoved(): void;
}

/** Reads a log once. An entry counts as read when the next one is taken. */
export class LogReader implements AsyncIterable<LogEntry> {
  /** The id of the last entry read. */
  cursor: number;
  /** The offset behind that entry in all output. */
  position: number;
  /** Whether the log waits for this reader. */
  lossless: boolean;
  /** The id of the last entry that was sent: it may not have been read. */
  sentId: number;
  /** Until when this reader may take over a position, by `performance.now()`; 0 for never. */
  readonly takeoverUntilMs: number;
  readonly #startId: number;
  readonly #log: LogAccess;
  #wake: (() => void) | undefined;
  #resumeTimer: NodeJS.Timeout | undefined;
  /** The entry that was taken last, until the next one is. */
  #taken: LogEntry | undefined;
  #closed = false;

  constructor(
    {
      cursor,
      position,
      lossless,
      takeoverUntilMs,
    }: Pick<LogReader, "cursor" | "position" | "lossless" | "takeoverUntilMs">,
    log: LogAccess,
  ) {
    this.cursor = cursor;
    this.position = position;
    this.lossless = lossless;
    this.sentId = cursor;
    this.takeoverUntilMs = takeoverUntilMs;
    this.#startId = cursor;
    this.#log = log;
    log.readers.add(this);
  }

  /** Makes the loop look for the next entry again. */
  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Whether the connection was cut, and the position is kept. */
  get isCut(): boolean {
    return this.#resumeTimer !== undefined;
  }

  /** Ends a loop over the reader. A lossless reader's position waits 5 s for one that resumes. */
  cut(): void {
    if (this.#closed || this.isCut) return;
    const { readers } = this.#log;
    if (this.lossless && ![...readers].some((heir) => heir.takeOver(this.sentId)))
      this.#resumeTimer = setTimeout(() => this.close(), RESUME_MS).unref();
    else this.close();
    this.wake();
  }

  /** Takes over the position of a reader that was cut, if this one has come to resume for it. */
  takeOver(sentId: number): boolean {
    if (this.lossless || this.#startId > sentId || performance.now() > this.takeoverUntilMs)
      return false;
    this.lossless = true;
    return true;
  }

  /** Leaves the log, which ends a loop over the reader. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#resumeTimer);
    this.#log.readers.delete(this);
    this.#log.onMoved();
    this.wake();
  }

  /** The next entry; undefined where it is still to come, null at the end. */
  take(): LogEntry | undefined | null {
    if (this.#taken) {
      this.cursor = this.#taken.id;
      this.position = this.#taken.to;
      this.#taken = undefined;
      this.#log.onMoved();
    }
    if (this.#closed || this.isCut) return null;
    const entry = this.#log.next(this);
    if (entry === null) {
      // A cut may still lose what is in the sockets, behind the end too.
      if (this.#log.keepsMore()) this.cut();
      else this.close();
    } else if (entry) {
      if (this.#log.readers.size > 1) entry.keepFrame();
      this.sentId = entry.id;
      this.#taken = entry;
    }
    return entry;
  }

  /** Resolves when {@link take} is to be tried again. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Ends a loop over the reader, unless its position waits for one that resumes. */
  end(): void {
    if (!this.isCut) this.close();
  }

  // An iterator by hand: an async generator takes four promises for each entry.
  [Symbol.asyncIterator](): AsyncIterator<LogEntry, undefined> {
    return {
      next: async () => {
        for (let entry = this.take(); entry !== null; entry = this.take())
          if (entry) return { value: entry };
          else await this.changed();
        this.end();
        return { done: true, value: undefined };
      },
      return: async () => {
        this.end();
        return { done: true, value: undefined };
      },
    };
  }
}
