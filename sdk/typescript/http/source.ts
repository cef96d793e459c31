/** A stream of the caller's, which becomes a child's input. */
import { PoolError } from "../../../openapi/errors.ts";

/** Bytes or text of any length: a stream of Node's, a web stream, or another iteration. */
export type Streamed = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string>;

/** The part of a Node stream that is used. Portable code does not import Node's class. */
interface NodeStream extends AsyncIterable<unknown> {
  readonly readable: boolean;
  readonly readableFlowing: boolean | null;
  readonly readableEnded: boolean;
  iterator(options: { destroyOnReturn: boolean }): AsyncIterable<unknown>;
  on(event: "error" | "close", listener: (error?: Error) => void): unknown;
  destroy(): unknown;
}

const isWeb = (stream: object): stream is ReadableStream => "getReader" in stream;
const isNode = (stream: object): stream is NodeStream => "readableFlowing" in stream;

export function isStreamed(value: unknown): value is Streamed {
  return (
    typeof value === "object" && value !== null && (isWeb(value) || Symbol.asyncIterator in value)
  );
}

const utf8 = new TextEncoder();

/** The bytes of a stream, which can be read once and no faster than they are taken. */
export class Source implements AsyncIterable<Uint8Array> {
  readonly #stream: Streamed | NodeStream;
  readonly #broken: (why: unknown) => void;
  #reader: ReadableStreamDefaultReader | undefined;
  #over = false;

  /**
   * @param broken called with the reason when the bytes will not be complete: the stream failed,
   *   was destroyed, or yields objects instead of bytes.
   * @throws {PoolError} `invalid_request` for a stream that has ended, or that another reader has.
   */
  constructor(stream: Streamed, broken: (why: unknown) => void) {
    const isTaken = isNode(stream)
      ? !stream.readable || stream.readableFlowing === true
      : isWeb(stream) && stream.locked;
    if (isTaken)
      throw PoolError.of(
        "invalid_request",
        "stdin: expected a stream that nobody else reads, and that has not ended",
      );
    this.#stream = stream;
    this.#broken = broken;
    // A Node stream may fail while nobody reads it.
    if (!isNode(stream)) return;
    stream.on("error", (error) => this.#break(error));
    stream.on("close", () => {
      if (!stream.readableEnded) this.#break(new Error("the stream was destroyed"));
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const piece of this.#pieces()) {
        if (typeof piece === "string") yield utf8.encode(piece);
        else if (piece instanceof Uint8Array) yield piece;
        else throw new Error("expected a stream of bytes or text; got one of objects");
      }
    } catch (error) {
      this.#break(error);
      throw error;
    }
  }

  /** Ends the reading, and the stream. */
  destroy(): void {
    this.#over = true;
    if (isNode(this.#stream)) this.#stream.destroy();
    else if (this.#reader) this.#reader.cancel().catch(() => {});
    else if (isWeb(this.#stream)) this.#stream.cancel().catch(() => {});
  }

  async *#pieces(): AsyncGenerator<unknown, void, undefined> {
    const stream = this.#stream;
    if (isNode(stream)) yield* stream.iterator({ destroyOnReturn: false });
    else if (!isWeb(stream)) yield* stream;
    else {
      // Not every browser can iterate over a stream.
      this.#reader = stream.getReader();
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done) return;
        yield value;
      }
    }
  }

  #break(why: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#broken(why);
  }
}
