/**
 * The raw form: a child's stdout as it is, in a body that ends as the child did. Its ending is in a trailer; where it is no success the
 * connection is broken instead, so that a program that knows nothing of trailers, such as curl, does not take a part for the whole.
 *
 * A body that was cut goes on with `Range: bytes=N-`. Where it will end is not known yet: the answer says so with a last byte that is never
 * reached, as RFC 8673 has it for what still grows.
 */
import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { PoolEvent } from "../../openapi/events.ts";
import { type NodeContext, onClientGone } from "../http/request.ts";
import { cutOff, drained } from "../http/response.ts";
import type { LogReader } from "../supervisor/output/log-reader.ts";
import { headOnly } from "./events.ts";

/** The terminal event as JSON, without a function's value. */
export const ENDING_TRAILER = "pool-ending";

/** The first byte that a `Range` asks for; undefined without one. */
export function firstByteOf(range: string | undefined): number | undefined {
  return range === undefined ? undefined : Number(/\d+/.exec(range)?.[0]);
}

export const statusFor = (from: number | undefined) => (from === undefined ? 200 : 206);

/** @param from the byte that was asked for. */
export function headersFor(from: number | undefined): Record<string, string> {
  return {
    "content-type": "application/octet-stream",
    "x-content-type-options": "nosniff",
    ...(from === undefined
      ? {}
      : { "content-range": `bytes ${from}-${Number.MAX_SAFE_INTEGER}/*` }),
  };
}

export function open(outgoing: ServerResponse, from: number | undefined): void {
  outgoing.writeHead(statusFor(from), { ...headersFor(from), trailer: ENDING_TRAILER });
  outgoing.flushHeaders();
}

/** Headers are ASCII. */
const ascii = (json: string) =>
  json.replaceAll(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const isSuccess = (event: PoolEvent) => event.type === "result" && (event.exitCode ?? 0) === 0;

/** Where the sending begins, and what runs if its reader leaves before the end. */
export interface RawOptions {
  /** The byte of stdout that was asked for. */
  readonly from?: number | undefined;
  readonly gone?: () => void;
}

/** Sends a child's stdout, to its end. */
export function streamRaw(
  c: NodeContext,
  reader: LogReader,
  { from, gone }: RawOptions = {},
): Response {
  const { outgoing } = c.env;
  if (c.req.method === "HEAD") {
    reader.cut();
    return headOnly(undefined, headersFor(from), statusFor(from));
  }
  onClientGone(c, () => {
    // Whoever was cut off comes back in a moment.
    reader.cut();
    gone?.();
  });
  open(outgoing, from);
  void (async () => {
    for await (const entry of reader) {
      // What is missing cannot be said here.
      if (entry.type === "gap") throw new Error("the reader fell behind");
      if (entry.type === "stdout") {
        // The first one may begin before the byte that was asked for.
        outgoing.write(entry.bytes?.subarray(Math.max(0, (from ?? 0) - entry.stdoutFrom)));
        if (!(await drained(outgoing))) return;
      }
      if (entry.type !== "result" && entry.type !== "failed") continue;
      const { event } = entry;
      if (!isSuccess(event)) throw new Error("the child failed");
      const { value: _, ...ending } = event as PoolEvent & { value?: unknown };
      outgoing.addTrailers({ [ENDING_TRAILER]: ascii(JSON.stringify(ending)) });
      outgoing.end();
    }
  })().catch(() => cutOff(outgoing));
  return RESPONSE_ALREADY_SENT;
}
