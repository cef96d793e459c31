/** The newest entries of an event log, and the offsets of older ones. The log decides evictions. */
import type { EventType, PoolEvent } from "../../../openapi/events.ts";
import { LogEntry } from "./log-entry.ts";

/** 65,536 evicted entries leave their offsets, by which a gap is counted exactly. */
const MAX_OFFSETS = 65_536;
/** 1,024: the array is compacted when so many elements, and more than half, are empty. */
const COMPACT_FROM = 1_024;

export class Ring {
  /** The id of the next entry. */
  nextId = 1;
  /** Bytes of output that were ever written, and those of stdout among them. */
  outputBytes = 0;
  stdoutBytes = 0;
  #entries: (LogEntry | undefined)[] = [];
  /** The index of the oldest entry. */
  #head = 0;
  /** The offsets behind the evicted entries, that of the newest of them last. */
  #offsets: number[] = [];

  /** The number of entries. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  get oldest(): LogEntry | undefined {
    return this.#entries[this.#head];
  }

  /** Bytes of memory that the entries hold. */
  get heldBytes(): number {
    return this.#entries.reduce((sum, entry) => sum + (entry?.heldBytes ?? 0), 0);
  }

  /** @param bytes the output that the event carries; undefined for other events. */
  push(type: EventType, make: () => PoolEvent, bytes?: Buffer): void {
    this.outputBytes += bytes?.length ?? 0;
    if (type === "stdout") this.stdoutBytes += bytes?.length ?? 0;
    const { outputBytes: to, stdoutBytes: stdoutTo } = this;
    this.#entries.push(new LogEntry({ id: this.nextId++, type, bytes, to, stdoutTo }, make));
  }

  /** The entry of an id; undefined when it was evicted or is still to come. */
  get(id: number): LogEntry | undefined {
    return this.#entries[this.#head + id - (this.oldest?.id ?? 0)];
  }

  /** The offset behind the entry of an id, in all output; undefined when the entry is too old. */
  offsetBehind(id: number): number | undefined {
    const behind = id - (this.oldest?.id ?? 1);
    if (id === 0) return 0;
    return behind < 0 ? this.#offsets.at(behind) : this.get(id)?.to;
  }

  /**
   * The id of the last entry that ends before a byte of stdout, which has to be in the ring or
   * still to come.
   */
  idBeforeStdout(byte: number): number {
    const last = this.#entries.findLast(
      (entry) => entry?.type === "stdout" && entry.stdoutTo <= byte,
    );
    return last?.id ?? (this.oldest?.id ?? 1) - 1;
  }

  /** Removes the oldest entry. */
  evict(): void {
    const { oldest } = this;
    if (!oldest) return;
    this.#offsets.push(oldest.to);
    this.#entries[this.#head] = undefined;
    this.#head += 1;
    if (this.#head > COMPACT_FROM && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    if (this.#offsets.length > MAX_OFFSETS * 2) this.#offsets = this.#offsets.slice(-MAX_OFFSETS);
  }
}
