/**
 * What a child says of its progress, by what it writes to descriptor 3: nobody has checked it. What makes no sense is dropped, and what comes
 * faster than anybody needs it is read slowly.
 */
import type { Readable } from "node:stream";
import { MAX_PROGRESS_MESSAGE, type Progress, ProgressEventSchema } from "../../openapi/events.ts";

/** So much is read in one go; after it comes a pause, in which a child that writes on has to wait. */
const BURST_BYTES = 65_536;
const PAUSE_MS = 50;
/** A command's line is cut there. */
const MAX_LINE_BYTES = 4_096;
/** A stray process may hold a command's pipe open: after the command's end it is read for so long. */
const END_TIMEOUT_MS = 250;
const NEWLINE = 10;

const GivenSchema = ProgressEventSchema.omit({ type: true });

/** Progress as the contract has it: its message is made one line that a terminal can show. Undefined for what is none. */
function checked(given: unknown): Progress | undefined {
  const { message, ...rest } = { ...(given as { message?: unknown } | null) };
  const line =
    typeof message === "string"
      ? { message: shown(message) }
      : message === undefined
        ? {}
        : { message };
  return GivenSchema.safeParse({ ...rest, ...line }).data;
}

function shown(message: string): string {
  const start = message
    .slice(0, MAX_PROGRESS_MESSAGE)
    .replaceAll(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, " ");
  // A cut may have left half a character.
  return start
    .replace(/[\ud800-\udbff]$/, "")
    .toWellFormed()
    .trim();
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** `3`, `3/10`, or one of them and words. */
const PLAIN = /^(\d{1,15}(?:\.\d{1,15})?)(?:\/(\d{1,15}(?:\.\d{1,15})?))?(?:\s+(.*))?$/;

/** The progress in a line that a command wrote: plain, or an object of JSON. Undefined where there is none. */
export function progressOf(line: string): Progress | undefined {
  if (line.startsWith("{")) return checked(parsed(line));
  const [, done, total, message] = PLAIN.exec(line) ?? [];
  if (done === undefined) return undefined;
  return checked({
    done: Number(done),
    ...(total && { total: Number(total) }),
    ...(message && { message }),
  });
}

/** Whether what came from a function's process is about its progress. */
export function isProgress(line: string): boolean {
  return /^\{\s*"progress"\s*:/.test(line);
}

/** The progress in such a line; undefined where it is none after all. */
export function progressIn(line: string): Progress | undefined {
  return line.length > MAX_LINE_BYTES
    ? undefined
    : checked((parsed(line) as { progress?: unknown } | undefined)?.progress);
}

/** Reads a stream that flows no faster than is good for the server. */
export class FlowLimit {
  readonly #stream: Readable;
  #bytes = 0;

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  took(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < BURST_BYTES) return;
    this.#bytes = 0;
    this.#stream.pause();
    setTimeout(() => this.#stream.resume(), PAUSE_MS);
  }
}

/**
 * Reads a command's progress: of the lines that come at once, the last one that is progress.
 *
 * @param exited when the command has ended; what the pipe holds then is read too.
 */
export async function readProgress(
  stream: Readable,
  exited: Promise<unknown>,
  onProgress: (progress: Progress) => void,
): Promise<void> {
  const pace = new FlowLimit(stream);
  let held: Buffer = Buffer.alloc(0);
  const tell = (text: string) => {
    for (const line of text.split("\n").toReversed()) {
      const progress = progressOf(line.trim());
      if (progress) return onProgress(progress);
    }
  };
  stream.on("data", (chunk: Buffer) => {
    pace.took(chunk.length);
    const end = chunk.lastIndexOf(NEWLINE);
    if (end >= 0) tell(Buffer.concat([held, chunk.subarray(0, end)]).toString("utf8"));
    held = Buffer.concat([end < 0 ? held : Buffer.alloc(0), chunk.subarray(end + 1)]).subarray(
      0,
      MAX_LINE_BYTES,
    );
  });
  const closed = new Promise((resolve) => stream.once("close", resolve));
  let timer: NodeJS.Timeout | undefined;
  void exited.then(() => {
    timer = setTimeout(() => stream.destroy(), END_TIMEOUT_MS);
  });
  await closed;
  clearTimeout(timer);
  tell(held.toString("utf8"));
}
