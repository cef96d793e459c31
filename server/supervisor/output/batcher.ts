/**
 * Gathers one output of a child into events: the first bytes after a silence at once, what follows in the next moments together, so that a
 * program that writes line by line does not cost an event a line.
 */

export interface BatcherOptions {
  /** No piece ends within a character of UTF-8. */
  readonly text: boolean;
  /** Takes a piece. */
  readonly take: (bytes: Buffer) => void;
}

/** A piece is not larger; what comes in one larger chunk is. */
const FULL_BYTES = 65_536;
/** What comes within so long of the last piece waits for more. */
export const BATCH_MS = 4;

export class OutputBatcher {
  readonly #options: BatcherOptions;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  push(chunk: Buffer): void {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#timer === undefined || this.#heldBytes >= FULL_BYTES) this.#flush(false);
  }

  /** Hands on what is held, at the end of the output the beginning of a character too. */
  end(): void {
    this.#flush(true);
    clearTimeout(this.#timer);
  }

  #flush(whole: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#heldBytes === 0) return;
    const all = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    const rest = this.#options.text && !whole ? unfinished(all) : 0;
    const piece = all.subarray(0, all.length - rest);
    this.#held = rest > 0 ? [Buffer.from(all.subarray(all.length - rest))] : [];
    this.#heldBytes = rest;
    if (piece.length === 0) return;
    this.#options.take(piece);
    this.#timer = setTimeout(() => this.#flush(false), BATCH_MS);
  }
}

/** How many of the last bytes begin a character of UTF-8 whose end is still to come (RFC 3629). */
export function unfinished(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    // A byte that goes on with a character: its first one stands before it.
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const length =
      byte >= 0xf0 && byte <= 0xf4
        ? 4
        : byte >= 0xe0 && byte <= 0xef
          ? 3
          : byte >= 0xc2 && byte <= 0xdf
            ? 2
            : 1;
    return length > back ? back : 0;
  }
  return 0;
}
