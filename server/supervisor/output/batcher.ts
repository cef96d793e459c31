/**
 * Batches one output of a child into events. The first bytes after a silence go at once, and those
 * of the next moments together: a program that writes line by line does not cost an event per line.
 */

export interface BatcherOptions {
  /** Whether no batch may end within a UTF-8 character. */
  readonly text: boolean;
  /** Takes a batch. */
  readonly take: (bytes: Buffer) => void;
}

/** 64 KiB: a batch of this size goes at once. A single larger chunk makes a larger batch. */
const FULL_BYTES = 65_536;
/** 4 ms: bytes that come so soon after a batch wait for more. */
export const BATCH_MS = 4;

export class OutputBatcher {
  readonly #options: BatcherOptions;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#timer === undefined || this.#bytes >= FULL_BYTES) this.#flush(false);
  }

  /** Hands on the rest at the end of the output, an unfinished character included. */
  end(): void {
    this.#flush(true);
    clearTimeout(this.#timer);
  }

  #flush(isEnd: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#bytes === 0) return;
    const all =
      this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    const rest = this.#options.text && !isEnd ? unfinished(all) : 0;
    const batch = all.subarray(0, all.length - rest);
    this.#chunks = rest > 0 ? [Buffer.from(all.subarray(all.length - rest))] : [];
    this.#bytes = rest;
    if (batch.length === 0) return;
    this.#options.take(batch);
    this.#timer = setTimeout(() => this.#flush(false), BATCH_MS);
  }
}

/** How many of the last bytes begin a UTF-8 character whose end is still to come (RFC 3629). */
export function unfinished(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    // A continuation byte: the first byte of its character stands before it.
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
