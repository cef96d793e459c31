/**
 * Reads progress that a child writes to descriptor 3. Lines that are not valid progress are
 * ignored. A child that writes too fast is throttled.
 */
import type { Readable } from "node:stream";
import { MAX_PROGRESS_MESSAGE, type Progress } from "../../openapi/events.ts";
import { ProgressEventSchema } from "../../openapi/schemas/events.ts";
import { within } from "../../sdk/typescript/time/within.ts";

/** 64 KiB are read between two pauses, in which a child that writes on must wait. */
const BURST_BYTES = 65_536;
const PAUSE_MS = 50;
/** 4 KiB of a line are read; the rest of it is dropped. */
const MAX_LINE_BYTES = 4_096;
/** The pipe is read this long after the command's end: a stray process may keep it open. */
const END_TIMEOUT_MS = 250;
/** Of the lines that come together, the last 100 are looked at. */
const MAX_LINES = 100;
const NEWLINE = 10;

const ProgressSchema = ProgressEventSchema.omit({ type: true });

/**
 * Valid progress, with a message that a terminal can show in one line; undefined for no progress.
 */
function checkProgress(value: unknown): Progress | undefined {
  const { message, ...rest } = { ...(value as { message?: unknown } | null) };
  const line = typeof message === "string" ? printable(message) : message;
  return ProgressSchema.safeParse({ ...rest, message: line }).data;
}

function printable(message: string): string {
  const start = message
    .slice(0, MAX_PROGRESS_MESSAGE)
    .replaceAll(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, " ");
  // The cut may have left half a character.
  return start
    .replace(/[\ud800-\udbff]$/, "")
    .toWellFormed()
    .trim();
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** `3` or `3/10`, and a message behind them. */
const PLAIN = /^(\d{1,15}(?:\.\d{1,15})?)(?:\/(\d{1,15}(?:\.\d{1,15})?))?(?:\s+(.*))?$/;

/** The progress in a command's line, plain or as JSON; undefined for a line without progress. */
export function readProgressLine(line: string): Progress | undefined {
  if (line.startsWith("{")) return checkProgress(parseJson(line));
  const [, done, total, message] = PLAIN.exec(line) ?? [];
  if (done === undefined) return undefined;
  return checkProgress({
    done: Number(done),
    total: total && Number(total),
    message,
  });
}

/** Whether a line from a function's process is a message of progress, built in or configured. */
export function isProgressMessage(line: string): boolean {
  return /^\{\s*(?:"kind"\s*:\s*"progress"\s*,\s*)?"progress"\s*:/.test(line);
}

/** The progress in such a message; undefined for invalid progress. */
export function readProgressMessage(line: string): Progress | undefined {
  return line.length > MAX_LINE_BYTES
    ? undefined
    : checkProgress((parseJson(line) as { progress?: unknown } | undefined)?.progress);
}

/**
 * Throttles a stream: pauses it for 50 ms after each 64 KiB.
 *
 * @returns counts bytes that the caller has read.
 */
export function limitFlow(stream: Readable): (bytes: number) => void {
  let sum = 0;
  return (bytes) => {
    sum += bytes;
    if (sum < BURST_BYTES) return;
    sum = 0;
    stream.pause();
    setTimeout(() => stream.resume(), PAUSE_MS);
  };
}

/**
 * Reads a command's progress until its pipe closes. Of the lines in one chunk, the last progress
 * counts.
 *
 * @param exited resolves when the command has ended. The rest in the pipe is read too.
 */
export async function readProgress(
  stream: Readable,
  exited: Promise<unknown>,
  onProgress: (progress: Progress) => void,
): Promise<void> {
  const countRead = limitFlow(stream);
  let rest: Buffer = Buffer.alloc(0);
  const report = (text: string) => {
    for (const line of text.split("\n").slice(-MAX_LINES).toReversed()) {
      const progress = readProgressLine(line.trim());
      if (progress) return onProgress(progress);
    }
  };
  stream.on("data", (chunk: Buffer) => {
    countRead(chunk.length);
    const end = chunk.lastIndexOf(NEWLINE);
    if (end >= 0) report(Buffer.concat([rest, chunk.subarray(0, end)]).toString("utf8"));
    rest = Buffer.concat([end < 0 ? rest : Buffer.alloc(0), chunk.subarray(end + 1)]).subarray(
      0,
      MAX_LINE_BYTES,
    );
  });
  const closed = new Promise((resolve) => stream.once("close", resolve));
  void exited.then(() => within(END_TIMEOUT_MS, closed)).then(() => stream.destroy());
  await closed;
  report(rest.toString("utf8"));
}
