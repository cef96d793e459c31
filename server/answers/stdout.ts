/**
 * The raw form: a child's stdout, byte for byte. A trailer carries the child's ending. When the
 * child fails, the server cuts the connection instead. So a program that ignores trailers, such as
 * curl, does not take a part for the whole.
 *
 * A body that was cut resumes with `Range: bytes=N-`. While the child runs, the length of the whole
 * is unknown, and the answer names a last byte that is never reached (RFC 8673).
 */
import type { ServerResponse } from "node:http";
import { problem } from "../../openapi/errors.ts";
import type { PoolEvent } from "../../openapi/events.ts";
import { HeadedError } from "../http/problems.ts";
import type { NodeContext } from "../http/request.ts";
import type { EventLog } from "../supervisor/output/event-log.ts";
import type { LogEntry } from "../supervisor/output/log-entry.ts";
import type { LogReader } from "../supervisor/output/log-reader.ts";
import { type StreamedAnswer, send, UNBUFFERED } from "./send.ts";

/** The terminal event as JSON, without a function's value. */
export const ENDING_TRAILER = "pool-ending";

/**
 * The first byte that a `Range` header asks for; undefined without the header. Null for every form
 * but `bytes=N-`, such as a suffix or several ranges.
 */
export function firstByteOf(range: string | undefined): number | null | undefined {
  if (range === undefined) return undefined;
  const first = /^bytes=(\d{1,15})-$/.exec(range)?.[1];
  return first === undefined ? null : Number(first);
}

/**
 * Checks a range against a child's stdout.
 *
 * A reader that has all bytes of a child that succeeded gets the error too, with the child's ending
 * in a header. That of a child that failed gets an empty answer, which breaks off like any other.
 *
 * @param range the header's value.
 * @throws {HeadedError} `range_not_satisfiable` for a range that the stdout does not have.
 */
export function checkRange(
  range: string,
  { stdoutBytes: bytes, terminal }: Pick<EventLog, "stdoutBytes" | "terminal">,
): void {
  const ending = terminal && isSuccess(terminal) ? terminal : undefined;
  const from = firstByteOf(range) ?? Number.POSITIVE_INFINITY;
  if (from < bytes || (from === bytes && !ending)) return;
  const bound = ending ? "less than" : "at most";
  throw new HeadedError(
    problem(
      "range_not_satisfiable",
      `expected Range: bytes=N-, N being ${bound} ${bytes}; got ${range.slice(0, 255)}`,
    ),
    {
      "content-range": `bytes */${bytes}`,
      ...(ending && from === bytes && { [ENDING_TRAILER]: endingText(ending) }),
    },
  );
}

/**
 * The value of `Content-Range`.
 *
 * @param from the byte that the client asked for.
 */
export function contentRange(
  from: number,
  { stdoutBytes: bytes, terminal }: Pick<EventLog, "stdoutBytes" | "terminal">,
): string {
  return terminal && from < bytes
    ? `bytes ${from}-${bytes - 1}/${bytes}`
    : `bytes ${from}-${Number.MAX_SAFE_INTEGER}/*`;
}

/**
 * The head of a raw answer.
 *
 * @param range the value of `Content-Range`, where the client asked for a range.
 */
export function stdoutHead(
  range: string | undefined,
): Pick<StreamedAnswer<never>, "status" | "headers" | "open"> {
  const status = range === undefined ? 200 : 206;
  const headers = {
    "content-type": "application/octet-stream",
    "x-content-type-options": "nosniff",
    ...UNBUFFERED,
    ...(range === undefined ? {} : { "content-range": range }),
  };
  return {
    status,
    headers,
    open: (outgoing) => {
      outgoing.writeHead(status, { ...headers, trailer: ENDING_TRAILER });
      outgoing.flushHeaders();
    },
  };
}

/** JSON in ASCII, as headers need it. */
const ascii = (json: string) =>
  json.replaceAll(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const isSuccess = (event: PoolEvent) => event.type === "result" && (event.exitCode ?? 0) === 0;

/** The terminal event for a header or a trailer, without a function's value. */
function endingText(event: PoolEvent): string {
  const { value: _, ...ending } = event as PoolEvent & { value?: unknown };
  return ascii(JSON.stringify(ending));
}

/** The part of stdout that a client asked for: the first byte, and its `Content-Range`. */
interface Part {
  readonly from: number;
  readonly range: string;
}

/** Sends a child's stdout, to its end. @param part default: all of it. */
export function sendStdout(c: NodeContext, reader: LogReader, part?: Part): Promise<Response> {
  return send<LogEntry>(c, {
    ...stdoutHead(part?.range),
    pieces: reader,
    discard: () => reader.cut(),
    write: (outgoing, entry) => writeEntry(outgoing, entry, part?.from ?? 0),
  });
}

function writeEntry(outgoing: ServerResponse, entry: LogEntry, from: number): void {
  const { type, bytes, stdoutFrom } = entry;
  // A raw body cannot carry a gap.
  if (type === "gap") throw new Error("the reader fell behind");
  // The first entry may begin before the byte that the client asked for.
  if (type === "stdout") outgoing.write(bytes?.subarray(Math.max(0, from - stdoutFrom)));
  if (type !== "result" && type !== "failed") return;
  const { event } = entry;
  if (!isSuccess(event)) throw new Error("the child failed");
  outgoing.addTrailers({ [ENDING_TRAILER]: endingText(event) });
}
