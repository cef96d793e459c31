/**
 * Splits one output of a reused process into a piece for each call. The runner writes a marker
 * after each call.
 */
import type { Readable } from "node:stream";
import type { Output } from "../runtime.ts";

/** 64 KiB that nobody has read hold the process's output back. */
const MAX_UNREAD_BYTES = 65_536;

/** The output of one call. Most calls have none, so it costs next to nothing. */
class OutputPiece implements Output {
  readonly #onRoom: () => void;
  #chunks: Buffer[] = [];
  #unreadBytes = 0;
  #isOver = false;
  #isDropped = false;
  #wake: () => void = () => {};

  /** @param onRoom called when the piece takes more, after a `push` that returned false. */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  /** Adds output. False when the source is to wait. After `resume` it is dropped. */
  push(chunk: Buffer): boolean {
    if (this.#isDropped) return true;
    this.#chunks.push(chunk);
    this.#unreadBytes += chunk.length;
    this.#wake();
    return this.#unreadBytes < MAX_UNREAD_BYTES;
  }

  /** Ends the piece behind what it has. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  /** The process's output is read to its end also when nobody reads the piece any more. */
  resume(): void {
    this.#isDropped = true;
    this.#chunks = [];
    this.#onRoom();
  }

  destroy(): void {
    this.resume();
    this.end();
  }

  /** Whether the call's output has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  // An iterator by hand: an async generator takes four promises for each step.
  [Symbol.asyncIterator](): AsyncIterator<Buffer, undefined> {
    return {
      next: async () => {
        let chunk = this.#chunks.shift();
        while (!chunk && !this.#isOver) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          chunk = this.#chunks.shift();
        }
        if (!chunk) return { done: true, value: undefined };
        this.#unreadBytes -= chunk.length;
        if (this.#chunks.length === 0) this.#onRoom();
        return { done: false, value: chunk };
      },
    };
  }
}

export class OutputSplitter {
  readonly #source: Readable;
  readonly #onStray: () => void;
  #piece: OutputPiece | undefined;
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
  next(marker: string): {
    readonly stream: Output & { readonly isOver: boolean };
    readonly whole: Promise<void>;
  } {
    this.#marker = Buffer.from(marker);
    const source = this.#source;
    const stream = new OutputPiece(() => source.isPaused() && source.resume());
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
    if (output.length > 0 && !this.#piece.push(output)) this.#source.pause();
    if (end < 0) return;
    this.#finish();
    if (end + this.#marker.length < bytes.length) this.#onStray();
  }

  #finish(): void {
    this.#piece?.end();
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
