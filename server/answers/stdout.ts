/**
 * The raw form: a child's stdout, byte for byte. A trailer carries the child's ending. When the
 * child fails, the server cuts the connection instead. So a program that ignores trailers, such as
 * curl, does not take a part for the whole.
 *
 * A body that was cut resumes with `Range: bytes=N-`. The length of the whole is unknown, so the
 * answer names a last byte that is never reached (RFC 8673, for content that still grows).
 */
import type { ServerResponse } from "node:http";
import { problem } from "../../openapi/errors.ts";
import type { PoolEvent } from "../../openapi/events.ts";
import { HeadedError } from "../http/problems.ts";
import type { NodeContext } from "../http/request.ts";
import type { LogEntry } from "../supervisor/output/log-entry.ts";
import type { LogReader } from "../supervisor/output/log-reader.ts";
import { type StreamedAnswer, send } from "./send.ts";

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
 * The error for a range that a child's stdout does not have.
 *
 * @param range the header's value.
 * @param bytes the bytes of stdout so far.
 */
export function noSuchRange(range: string, bytes: number): HeadedError {
  return new HeadedError(
    problem(
      "range_not_satisfiable",
      `expected Range: bytes=N-, N being at most ${bytes}; got ${range.slice(0, 255)}`,
    ),
    { "content-range": `bytes */${bytes}` },
  );
}

/**
 * The head of a raw answer.
 *
 * @param from the byte that the client asked for.
 */
export function stdoutHead(
  from: number | undefined,
): Pick<StreamedAnswer<never>, "status" | "headers" | "open"> {
  const status = from === undefined ? 200 : 206;
  const headers = {
    "content-type": "application/octet-stream",
    "x-content-type-options": "nosniff",
    ...(from === undefined
      ? {}
      : { "content-range": `bytes ${from}-${Number.MAX_SAFE_INTEGER}/*` }),
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

/**
 * Sends a child's stdout, to its end.
 *
 * @param from the byte of stdout that the client asked for.
 */
export function sendStdout(c: NodeContext, reader: LogReader, from?: number): Promise<Response> {
  return send<LogEntry>(c, {
    ...stdoutHead(from),
    pieces: reader,
    discard: () => reader.cut(),
    write: (outgoing, entry) => writeEntry(outgoing, entry, from ?? 0),
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
  const { value: _, ...ending } = event as PoolEvent & { value?: unknown };
  outgoing.addTrailers({ [ENDING_TRAILER]: ascii(JSON.stringify(ending)) });
}
