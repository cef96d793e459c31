/**
 * The latest events of a feed, bounded in characters. Readers are positions in it: one that falls
 * behind what is kept begins again with the state.
 */
import type { FeedEntry } from "./entry.ts";

/** 8 Mi characters: the children of about a minute at 200 calls a second. */
const MAX_CHARS = 8 * 1024 * 1024;
/** Places that are empty leave the list together, because each move costs the whole list. */
const COMPACT_AT = 1_024;

export class FeedLog {
  readonly #maxChars: number;
  #entries: (FeedEntry | undefined)[] = [];
  /** Places at the beginning of the list that are empty now. */
  #dropped = 0;
  /** The position of the first entry in the list. */
  #firstInList = 0;
  #chars = 0;
  #waiting: (() => void)[] = [];

  /** @param maxChars the most characters that are kept. Default: 8 Mi. */
  constructor(maxChars = MAX_CHARS) {
    this.#maxChars = maxChars;
  }

  /** The position behind the last entry. */
  get end(): number {
    return this.#firstInList + this.#entries.length;
  }

  /** Whether all entries from this position on are kept. */
  has(position: number): boolean {
    return position >= this.#firstInList + this.#dropped && position <= this.end;
  }

  /** Adds entries, and wakes the readers once. */
  append(entries: readonly FeedEntry[]): void {
    if (entries.length === 0) return;
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#chars += charsOf(entry);
    }
    while (this.#chars > this.#maxChars && this.#dropped < this.#entries.length) {
      this.#chars -= charsOf(this.#entries[this.#dropped] as FeedEntry);
      this.#entries[this.#dropped++] = undefined;
    }
    if (this.#dropped >= COMPACT_AT && this.#dropped * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#dropped);
      this.#firstInList += this.#dropped;
      this.#dropped = 0;
    }
    this.wake();
  }

  /** The entry at a position; undefined behind the last one. */
  at(position: number): FeedEntry | undefined {
    return this.#entries[position - this.#firstInList];
  }

  /** Forgets all entries. No reader finds its position again. */
  clear(): void {
    this.#firstInList = this.end + 1;
    this.#entries = [];
    this.#dropped = 0;
    this.#chars = 0;
  }

  /** Calls back at the next change. @returns a function that takes the call back. */
  onChange(run: () => void): () => void {
    this.#waiting.push(run);
    return () => {
      this.#waiting = this.#waiting.filter((each) => each !== run);
    };
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }
}

const charsOf = ({ json, whole }: FeedEntry) => json.length + (whole?.length ?? 0);
