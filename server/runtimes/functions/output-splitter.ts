/** One output of a process that is used again, cut into a piece for each call: at the marker that its runner writes after it. */
import { Readable } from "node:stream";

export class OutputSplitter {
  readonly #source: Readable;
  readonly #onStray: () => void;
  #piece: Readable | undefined;
  #marker: Buffer = Buffer.alloc(0);
  /** What may be the beginning of the marker. */
  #held: Buffer = Buffer.alloc(0);
  #cut: () => void = () => {};

  /** @param onStray called for bytes that come between two calls. */
  constructor(source: Readable, onStray: () => void) {
    this.#source = source;
    this.#onStray = onStray;
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.once("close", () => {
      if (this.#held.length > 0) this.#piece?.push(this.#held);
      this.#finish();
    });
  }

  /** Whether the reader of the piece holds it back. */
  get paused(): boolean {
    return this.#source.isPaused();
  }

  /** The next piece: `stream` ends, and `whole` resolves, at the marker, or at the end of the output. */
  next(marker: string): { readonly stream: Readable; readonly whole: Promise<void> } {
    this.#marker = Buffer.from(marker);
    const source = this.#source;
    const stream = new Readable({
      read: () => void source.resume(),
      // A piece that nobody reads any more is read to its end all the same.
      destroy: (error, done) => {
        source.resume();
        done(error);
      },
    });
    this.#piece = stream;
    const whole = new Promise<void>((resolve) => {
      this.#cut = resolve;
    });
    if (source.closed) this.#finish();
    return { stream, whole };
  }

  #take(chunk: Buffer): void {
    if (!this.#piece) {
      this.#onStray();
      return;
    }
    const bytes = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    const end = bytes.indexOf(this.#marker);
    const kept = end < 0 ? beginningAtEnd(bytes, this.#marker) : 0;
    const output = bytes.subarray(0, end < 0 ? bytes.length - kept : end);
    this.#held = bytes.subarray(bytes.length - kept);
    if (output.length > 0 && !this.#piece.push(output) && !this.#piece.destroyed)
      this.#source.pause();
    if (end < 0) return;
    this.#finish();
    if (end + this.#marker.length < bytes.length) this.#onStray();
  }

  #finish(): void {
    this.#piece?.push(null);
    this.#piece = undefined;
    this.#held = Buffer.alloc(0);
    this.#source.resume();
    this.#cut();
  }
}

/** How many of the last bytes are a beginning of the marker. */
function beginningAtEnd(bytes: Buffer, marker: Buffer): number {
  for (let length = Math.min(bytes.length, marker.length - 1); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(marker.subarray(0, length))) return length;
  }
  return 0;
}
