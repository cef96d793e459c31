/** The server's end of the channel to what runs a function: lines out, one line back for each that is asked for, and progress before it. */
import type { Duplex } from "node:stream";
import type { Progress } from "../../../openapi/events.ts";
import { FlowLimit, isProgress, progressIn } from "../progress.ts";
import { type Drain, type Job, READY } from "./messages.ts";

const NEWLINE = 10;
/** A longer line is refused. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** What came: a line, nothing before the end, or a line that is too long. */
export type Received = { readonly line: string } | "nothing" | "too long";

export class Channel {
  /** Resolves with true when the runner waits for a job, with false when it has ended before. */
  readonly ready: Promise<boolean>;
  /** Called for what comes without having been asked for. */
  onStray: () => void = () => {};
  readonly #stream: Duplex;
  readonly #pace: FlowLimit;
  #settleReady: (up: boolean) => void = () => {};
  #settle: ((received: Received) => void) | undefined;
  #onProgress: ((progress: Progress) => void) | undefined;
  #passes: (line: string) => boolean = () => false;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #up = false;
  #closed = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.#pace = new FlowLimit(stream);
    this.ready = new Promise((resolve) => {
      this.#settleReady = resolve;
    });
    stream.on("data", (chunk: Buffer) => this.#take(chunk));
    stream.once("close", () => {
      this.#closed = true;
      this.#settleReady(false);
      // A line that was cut off is what came.
      if (this.#bytes > 0) this.#line();
      this.#answer("nothing");
    });
  }

  send(message: Job | Drain): void {
    this.#stream.write(`${JSON.stringify(message)}\n`);
  }

  /** Sends the only message, after which whoever reads finds the end. */
  end(message: Pick<Job, "args" | "context" | "export">): void {
    this.#stream.end(`${JSON.stringify(message)}\n`);
  }

  /** The next line but for those that pass, and what is told of progress before it. */
  receive(
    onProgress: (progress: Progress) => void,
    passes: (line: string) => boolean = () => false,
  ): Promise<Received> {
    this.#passes = passes;
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#onProgress = onProgress;
      if (this.#closed) this.#answer("nothing");
    });
  }

  close(): void {
    this.#stream.destroy();
  }

  #take(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#up && !this.#settle) {
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
      this.#line();
    }
  }

  #line(): void {
    const bytes = this.#bytes;
    const line = Buffer.concat(this.#chunks).toString("utf8").trimEnd();
    this.#reset();
    if (isProgress(line)) {
      this.#pace.took(bytes);
      const progress = progressIn(line);
      if (progress) this.#onProgress?.(progress);
    } else if (!this.#up && line === READY) {
      this.#up = true;
      this.#settleReady(true);
    } else if (!this.#settle || !this.#passes(line)) this.#answer({ line });
  }

  #answer(received: Received): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.#onProgress = undefined;
    this.#up = true;
    this.#reset();
    settle?.(received);
  }

  #reset(): void {
    this.#chunks = [];
    this.#bytes = 0;
  }
}
