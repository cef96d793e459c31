/** Sends a streamed answer: the one loop that writes no faster than the client reads. */
import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { type NodeContext, onClientGone } from "../http/request.ts";
import { cutOff, drained, isFull, isOver } from "../http/response.ts";

/** Keeps proxies from buffering an answer that arrives bit by bit; nginx does by default. */
export const UNBUFFERED = { "cache-control": "no-store, no-transform", "x-accel-buffering": "no" };

/** A streamed answer of pieces `T`. */
export interface StreamedAnswer<T> {
  /** Default 200. */
  readonly status?: number | undefined;
  /** The head of the answer; a HEAD request gets nothing else. */
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: AsyncIterable<T>;
  /** Stops reading the pieces: for a HEAD request, and when the client goes before the end. */
  discard(): void;
  /** Sends the head of the answer. Default: status and headers. */
  open?(outgoing: ServerResponse): unknown;
  /** Writes one piece. */
  write(outgoing: ServerResponse, piece: T): void;
  /**
   * Writes into the answer why the pieces ended early. Default: the connection is cut, so that no
   * client takes a part for the whole.
   */
  failed?(outgoing: ServerResponse, why: unknown): void;
}

/**
 * Sends a streamed answer to its end. Resolves once the head is sent; the pieces follow.
 *
 * A HEAD request gets the head alone. The router takes it for a GET and empties the answer, so the
 * answer must not have been sent yet.
 */
export async function send<T>(c: NodeContext, answer: StreamedAnswer<T>): Promise<Response> {
  const { status = 200, headers } = answer;
  if (c.req.method === "HEAD") {
    answer.discard();
    return new Response(null, { status, headers });
  }
  onClientGone(c, () => answer.discard());
  const { outgoing } = c.env;
  if (answer.open) await answer.open(outgoing);
  else outgoing.writeHead(status, headers);
  void writeAll(outgoing, answer).catch(() => cutOff(outgoing));
  return RESPONSE_ALREADY_SENT;
}

async function writeAll<T>(outgoing: ServerResponse, answer: StreamedAnswer<T>): Promise<void> {
  try {
    for await (const piece of answer.pieces) {
      if (isOver(outgoing)) return;
      answer.write(outgoing, piece);
      if (isFull(outgoing) && !(await drained(outgoing))) return;
    }
  } catch (error) {
    if (!answer.failed) throw error;
    if (isOver(outgoing)) return;
    answer.failed(outgoing, error);
  }
  outgoing.end();
}

/** Answers with a file. The headers name its length, so a client sees when the answer was cut. */
export function sendFile(
  c: NodeContext,
  file: Pick<StreamedAnswer<Uint8Array>, "headers" | "status" | "pieces" | "discard">,
): Promise<Response> {
  return send<Uint8Array>(c, {
    ...file,
    // A browser must not take a child's file for a page of the member's.
    headers: { ...file.headers, "x-content-type-options": "nosniff" },
    write: (outgoing, chunk) => outgoing.write(chunk),
  });
}
