/** The newest entries of an event log, and the offsets of older ones. The log decides evictions. */
import type { EventType, PoolEvent } from "../../../openapi/events.ts";
import { LogEntry } from "./log-entry.ts";

/** 65,536 evicted entries leave their offsets, by which a gap is counted exactly. */
const MAX_OFFSETS = 65_536;

export class Ring {
  /** The id of the next entry. */
  nextId = 1;
  /** Bytes of output that were ever written, and those of stdout among them. */
  outputBytes = 0;
  stdoutBytes = 0;
  /** By id. */
  readonly #entries = new Map<number, LogEntry>();
  /** The offsets behind the evicted entries, that of the newest of them last. */
  #offsets: number[] = [];

  /** The number of entries. */
  get size(): number {
    return this.#entries.size;
  }

  /** Bytes of output in the entries. */
  get keptBytes(): number {
    return this.outputBytes - (this.oldest?.from ?? this.outputBytes);
  }

  get oldest(): LogEntry | undefined {
    return this.#entries.get(this.#oldestId);
  }

  /** Bytes of memory that the entries hold, apart from frames that are kept for more readers. */
  heldBytes = 0;

  /** @param bytes the output that the event carries; undefined for other events. */
  push(type: EventType, make: () => PoolEvent, bytes?: Buffer): void {
    this.outputBytes += bytes?.length ?? 0;
    if (type === "stdout") this.stdoutBytes += bytes?.length ?? 0;
    const { nextId: id, outputBytes: to, stdoutBytes: stdoutTo } = this;
    const entry = new LogEntry({ id, type, bytes, to, stdoutTo }, make);
    this.#entries.set(id, entry);
    this.heldBytes += entry.heldBytes;
    this.nextId += 1;
  }

  /** The entry of an id; undefined when it was evicted or is still to come. */
  get(id: number): LogEntry | undefined {
    return this.#entries.get(id);
  }

  /** The offset behind the entry of an id, in all output; undefined when the entry is too old. */
  offsetBehind(id: number): number | undefined {
    if (id === 0) return 0;
    return id < this.#oldestId ? this.#offsets.at(id - this.#oldestId) : this.get(id)?.to;
  }

  /**
   * The id of the last entry that ends before a byte of stdout, which has to be in the ring or
   * still to come.
   */
  idBeforeStdout(byte: number): number {
    const last = [...this.#entries.values()].findLast(
      ({ type, stdoutTo }) => type === "stdout" && stdoutTo <= byte,
    );
    return last?.id ?? this.#oldestId - 1;
  }

  /** Removes the oldest entry. */
  evict(): void {
    const { oldest } = this;
    if (!oldest) return;
    this.#offsets.push(oldest.to);
    this.heldBytes -= oldest.heldBytes;
    this.#entries.delete(oldest.id);
    if (this.#offsets.length > MAX_OFFSETS * 2) this.#offsets = this.#offsets.slice(-MAX_OFFSETS);
  }

  /** The id of the oldest entry, or of the next one where there is none. */
  get #oldestId(): number {
    return this.nextId - this.size;
  }
}
