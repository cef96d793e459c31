/**
 * The server's end of the channel to a function's process. It sends lines, and receives one line
 * for each call of `receive`, with progress before it.
 */
import { writeSync } from "node:fs";
import type { Duplex } from "node:stream";
import type { Progress } from "../../../openapi/events.ts";
import { jsonPieces } from "../../../sdk/typescript/http/raw-json.ts";
import { isValue, LargeJson, SMALL_BYTES, withRawValue } from "../../http/bodies/large-json.ts";
import { isProgressMessage, limitFlow, readProgressMessage } from "../progress.ts";
import { type Drain, type Job, READY_LINE, type ServerMessage } from "./messages.ts";

const NEWLINE = 10;
/** 16 MiB per line; a longer one is refused. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/**
 * A line, or the message in a long one; or the end of the channel without one; or a line that is
 * too long or that nests too deep; or a long one that is no JSON.
 */
export type Received =
  | { readonly line: string }
  | { readonly message: unknown }
  | "ended"
  | "too long"
  | "too deep"
  | "malformed";

/** Of the lines of progress that come together, the first 32 and the last are looked at. */
const MAX_PROGRESS_LINES = 32;

/** A stream of Node, with its descriptor. */
interface WithHandle {
  readonly _handle?: { readonly fd?: number };
}

export class Channel {
  /** Called for bytes that arrive while nothing is being received. */
  onStray: () => void = () => {};
  readonly #stream: Duplex;
  readonly #countProgress: (bytes: number) => void;
  readonly #ready = Promise.withResolvers<boolean>();
  #settle: ((received: Received) => void) | undefined;
  #onProgress: ((progress: Progress) => void) | undefined;
  #isExpected: (line: string) => boolean = () => false;
  #line = new LargeJson(isValue, MAX_LINE_BYTES);
  /** Why the line that is being read is no message. */
  #flaw: "too deep" | "malformed" | undefined;
  /** The number of lines of progress that came together, and the last of those beyond 32. */
  #progressLines = 0;
  #lastProgress: string | undefined;
  #isUp = false;
  #isClosed = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.#countProgress = limitFlow(stream);
    stream.on("data", (chunk: Buffer) => this.#read(chunk));
    stream.once("close", () => {
      this.#isClosed = true;
      this.#ready.resolve(false);
      // A line without its newline counts as a line.
      if (this.#line.bytes > 0) this.#endLine();
      this.#endProgress();
      this.#answer("ended");
    });
  }

  /** Resolves with true when the runner waits for a job, and with false when it ended before. */
  get ready(): Promise<boolean> {
    return this.#ready.promise;
  }

  send(message: ServerMessage): void {
    for (const piece of lineOf(message)) this.#stream.write(piece);
  }

  /**
   * Sends a message that the runner may not live to read. A stream closes at an error of a write,
   * and loses a report that has arrived. So the message goes past the stream once the job is out.
   */
  notify(message: Drain): void {
    const { destroyed, writableLength, _handle } = this.#stream as Duplex & WithHandle;
    if (destroyed) return;
    if (writableLength > 0 || _handle?.fd === undefined) this.send(message);
    else
      try {
        writeSync(_handle.fd, `${JSON.stringify(message)}\n`);
      } catch {
        // The runner has ended.
      }
  }

  /** Sends the only message to a configured runtime, and ends the stream after it. */
  end(message: Pick<Job, "args" | "context" | "export">): void {
    for (const piece of lineOf(message)) this.#stream.write(piece);
    this.#stream.end();
  }

  /**
   * The next line that is not progress.
   *
   * @param onProgress called for each progress before the line.
   * @param isExpected called for each line before it is returned; a line for which it returns true
   *   is skipped.
   */
  receive(
    onProgress: (progress: Progress) => void,
    isExpected: (line: string) => boolean = () => false,
  ): Promise<Received> {
    this.#isExpected = isExpected;
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#onProgress = onProgress;
      if (this.#isClosed) this.#answer("ended");
    });
  }

  close(): void {
    this.#stream.destroy();
  }

  #read(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#isUp && !this.#settle) {
        this.onStray();
        return;
      }
      const end = rest.indexOf(NEWLINE);
      const part = end < 0 ? rest : rest.subarray(0, end + 1);
      rest = rest.subarray(part.length);
      if (this.#line.bytes + part.length > MAX_LINE_BYTES) {
        this.#answer("too long");
        return;
      }
      this.#push(part);
      if (end >= 0) this.#endLine();
    }
    this.#endProgress();
    if (this.#line.bytes <= SMALL_BYTES) return;
    // One turn of the loop may bring 2 MiB of a long line. Others go between its chunks.
    this.#stream.pause();
    setImmediate(() => this.#stream.resume());
  }

  #push(part: Buffer): void {
    try {
      this.#line.push(part);
    } catch {
      this.#flaw ??= this.#line.isTooDeep ? "too deep" : "malformed";
    }
  }

  #endLine(): void {
    const { bytes } = this.#line;
    const received = this.#received();
    this.#reset();
    const line = typeof received === "object" && "line" in received ? received.line : "";
    if (isProgressMessage(line)) {
      this.#countProgress(bytes);
      this.#progressLines += 1;
      if (this.#progressLines > MAX_PROGRESS_LINES) this.#lastProgress = line;
      else this.#reportProgress(line);
    } else if (!this.#isUp && line === READY_LINE) {
      this.#isUp = true;
      this.#ready.resolve(true);
    } else if (!this.#settle || !this.#isExpected(line)) this.#answer(received);
  }

  #received(): Received {
    const { smallText } = this.#line;
    if (smallText !== undefined) return { line: smallText.trimEnd() };
    // Progress that is too long is ignored, whatever follows.
    const { beginning } = this.#line;
    if (isProgressMessage(beginning)) return { line: beginning };
    if (this.#flaw) return this.#flaw;
    try {
      return { message: withRawValue(this.#line.parse()) };
    } catch {
      return "malformed";
    }
  }

  #reportProgress(line: string): void {
    const progress = readProgressMessage(line);
    if (progress) this.#onProgress?.(progress);
  }

  /** Reports the last of the lines of progress that came together. */
  #endProgress(): void {
    if (this.#lastProgress !== undefined) this.#reportProgress(this.#lastProgress);
    this.#progressLines = 0;
    this.#lastProgress = undefined;
  }

  #answer(received: Received): void {
    this.#endProgress();
    const settle = this.#settle;
    this.#settle = undefined;
    this.#onProgress = undefined;
    this.#isUp = true;
    this.#reset();
    settle?.(received);
  }

  #reset(): void {
    this.#line = new LargeJson(isValue, MAX_LINE_BYTES);
    this.#flaw = undefined;
  }
}

/** A message as one line of JSON, in pieces. */
function lineOf(message: object): (string | Uint8Array)[] {
  const pieces = jsonPieces(message);
  // The last piece is text: it closes the object.
  return [...pieces.slice(0, -1), `${pieces.at(-1)}\n`];
}
