/**
 * The server's end of the channel to a function's process. It sends lines, and receives one line
 * for each call of `receive`, with progress before it.
 */
import type { Duplex } from "node:stream";
import type { Progress } from "../../../openapi/events.ts";
import { jsonPieces } from "../../../sdk/typescript/http/raw-json.ts";
import { isProgressMessage, limitFlow, readProgressMessage } from "../progress.ts";
import { type Job, READY_LINE, type ServerMessage } from "./messages.ts";

const NEWLINE = 10;
/** 16 MiB per line; a longer one is refused. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** A line; or the end of the channel without one; or a line that is too long. */
export type Received = { readonly line: string } | "ended" | "too long";

export class Channel {
  /** Called for bytes that arrive while nothing is being received. */
  onStray: () => void = () => {};
  readonly #stream: Duplex;
  readonly #countProgress: (bytes: number) => void;
  readonly #ready = Promise.withResolvers<boolean>();
  #settle: ((received: Received) => void) | undefined;
  #onProgress: ((progress: Progress) => void) | undefined;
  #isExpected: (line: string) => boolean = () => false;
  #chunks: Buffer[] = [];
  #bytes = 0;
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
      if (this.#bytes > 0) this.#endLine();
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
      this.#bytes += part.length;
      if (this.#bytes > MAX_LINE_BYTES) {
        this.#answer("too long");
        return;
      }
      this.#chunks.push(part);
      if (end < 0) return;
      this.#endLine();
    }
  }

  #endLine(): void {
    const bytes = this.#bytes;
    const line = Buffer.concat(this.#chunks).toString("utf8").trimEnd();
    this.#reset();
    if (isProgressMessage(line)) {
      this.#countProgress(bytes);
      const progress = readProgressMessage(line);
      if (progress) this.#onProgress?.(progress);
    } else if (!this.#isUp && line === READY_LINE) {
      this.#isUp = true;
      this.#ready.resolve(true);
    } else if (!this.#settle || !this.#isExpected(line)) this.#answer({ line });
  }

  #answer(received: Received): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#onProgress = undefined;
    this.#isUp = true;
    this.#reset();
    settle?.(received);
  }

  #reset(): void {
    this.#chunks = [];
    this.#bytes = 0;
  }
}

/** A message as one line of JSON, in pieces. */
function lineOf(message: object): (string | Uint8Array)[] {
  const pieces = jsonPieces(message);
  // The last piece is text: it closes the object.
  return [...pieces.slice(0, -1), `${pieces.at(-1)}\n`];
}
