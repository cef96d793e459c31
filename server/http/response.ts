/** The Node answer to a request. That of HTTP/2 is of another kind, which leaves its state to the stream below it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, Http2ServerResponse } from "node:http2";
import type { Writable } from "node:stream";

export type Outgoing = ServerResponse | Http2ServerResponse;

const writableOf = (outgoing: Outgoing): Writable =>
  outgoing instanceof Http2ServerResponse ? outgoing.stream : outgoing;

/** A reader that takes nothing for so long is cut off: it may come back with `Last-Event-ID`. */
const STALL_TIMEOUT_MS = 60_000;

/** Whether the answer is over: it has been sent, or its client is gone. */
export function isOver(outgoing: Outgoing): boolean {
  return writableOf(outgoing).destroyed;
}

function isSent(outgoing: Outgoing): boolean {
  // A stream that its client gives up is finished too.
  return (
    writableOf(outgoing).writableFinished &&
    !(outgoing instanceof Http2ServerResponse && outgoing.stream.aborted)
  );
}

/** Runs once when the answer is over, told whether it has been sent; now if it is over already. */
export function onOver(outgoing: Outgoing, run: (sent: boolean) => void): void {
  const over = () => run(isSent(outgoing));
  if (isOver(outgoing)) over();
  else outgoing.once("close", over);
}

/** Whether what has been written is more than the client takes for now. */
export function isFull(outgoing: Outgoing): boolean {
  return writableOf(outgoing).writableNeedDrain;
}

/** Whether a body whose length is not known can be told from a part of it; HTTP/1.0 has nothing that says where it ends. */
export function hasEnd(outgoing: Outgoing): boolean {
  return outgoing instanceof Http2ServerResponse || outgoing.useChunkedEncodingByDefault;
}

/** Breaks an answer off, so that nobody takes it for the whole. */
export function cutOff(outgoing: Outgoing): void {
  // Without a code the stream would look as if it had come to its end.
  if (outgoing instanceof Http2ServerResponse)
    outgoing.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  outgoing.destroy();
}

/** Makes this the last request of its connection. Other answers under way on it are sent to their ends. */
export function closeAfter(outgoing: Outgoing): void {
  if (outgoing instanceof Http2ServerResponse) outgoing.stream.session?.close();
  else outgoing.setHeader("connection", "close");
}

/**
 * Makes this the last answer of its connection over HTTP/1.1, although its client may still be sending then: so told, curl stops. The connection is
 * closed for writing first, and at once only where nothing is left to read: else the client's sending would fail before it has read the answer.
 *
 * @returns what undoes it, as long as nothing has been sent.
 */
export function closeBehind(incoming: IncomingMessage, outgoing: Outgoing): () => void {
  if (outgoing instanceof Http2ServerResponse || outgoing.hasHeader("connection")) return () => {};
  const { socket } = incoming;
  const { destroySoon } = socket;
  outgoing.setHeader("connection", "close");
  socket.destroySoon = () => {
    socket.destroySoon = destroySoon;
    if (incoming.readableEnded) return socket.destroySoon();
    socket.end();
    // The listener takes the rest, for half a second at most.
    incoming.once("end", () => socket.destroySoon());
  };
  return () => {
    socket.destroySoon = destroySoon;
    if (!outgoing.headersSent) outgoing.removeHeader("connection");
  };
}

/** Waits until the answer takes more. False when the reader is gone, or has stalled and was cut off. */
export async function drained(outgoing: Outgoing): Promise<boolean> {
  if (isOver(outgoing)) return false;
  if (!isFull(outgoing)) return true;
  return new Promise((resolve) => {
    const timer = setTimeout(() => cutOff(outgoing), STALL_TIMEOUT_MS);
    const done = () => {
      clearTimeout(timer);
      outgoing.off("drain", done).off("close", done);
      resolve(!isOver(outgoing));
    };
    outgoing.on("drain", done).on("close", done);
  });
}
