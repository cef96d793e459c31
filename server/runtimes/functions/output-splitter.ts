/**
 * Splits one output of a reused process into a piece for each call. The runner writes a marker
 * after each call.
 */
import { Readable } from "node:stream";

export class OutputSplitter {
  readonly #source: Readable;
  readonly #onStray: () => void;
  #piece: Readable | undefined;
  #marker: Buffer = Buffer.alloc(0);
  /** The last bytes, which may be the beginning of the marker. */
  #pending: Buffer = Buffer.alloc(0);
  #settleWhole: () => void = () => {};

  /** @param onStray called for bytes that arrive between two calls. */
  constructor(source: Readable, onStray: () => void) {
    this.#source = source;
    this.#onStray = onStray;
    source.on("data", (chunk: Buffer) => this.#read(chunk));
    source.once("close", () => {
      if (this.#pending.length > 0) this.#piece?.push(this.#pending);
      this.#finish();
    });
  }

  /** Whether a slow reader of the piece holds the output back. */
  get paused(): boolean {
    return this.#source.isPaused();
  }

  /**
   * The next piece. At the marker, or at the end of the output, `stream` ends and `whole` resolves.
   */
  next(marker: string): { readonly stream: Readable; readonly whole: Promise<void> } {
    this.#marker = Buffer.from(marker);
    const source = this.#source;
    const stream = new Readable({
      read: () => void source.resume(),
      // The output must be read to the marker also when nobody reads the piece any more.
      destroy: (error, done) => {
        source.resume();
        done(error);
      },
    });
    this.#piece = stream;
    const { promise: whole, resolve } = Promise.withResolvers<void>();
    this.#settleWhole = resolve;
    if (source.closed) this.#finish();
    return { stream, whole };
  }

  #read(chunk: Buffer): void {
    if (!this.#piece) {
      this.#onStray();
      return;
    }
    const bytes = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    const end = bytes.indexOf(this.#marker);
    const pending = end < 0 ? beginningAtEnd(bytes, this.#marker) : 0;
    const output = bytes.subarray(0, end < 0 ? bytes.length - pending : end);
    this.#pending = bytes.subarray(bytes.length - pending);
    if (output.length > 0 && !this.#piece.push(output) && !this.#piece.destroyed)
      this.#source.pause();
    if (end < 0) return;
    this.#finish();
    if (end + this.#marker.length < bytes.length) this.#onStray();
  }

  #finish(): void {
    this.#piece?.push(null);
    this.#piece = undefined;
    this.#pending = Buffer.alloc(0);
    this.#source.resume();
    this.#settleWhole();
  }
}

/** The number of last bytes that are a beginning of the marker. */
function beginningAtEnd(bytes: Buffer, marker: Buffer): number {
  for (let length = Math.min(bytes.length, marker.length - 1); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(marker.subarray(0, length))) return length;
  }
  return 0;
}
