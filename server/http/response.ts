/** The Node response. That of HTTP/2 keeps its state in the stream below it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, Http2ServerResponse } from "node:http2";
import type { Writable } from "node:stream";

export type Outgoing = ServerResponse | Http2ServerResponse;

const writableOf = (outgoing: Outgoing): Writable =>
  outgoing instanceof Http2ServerResponse ? outgoing.stream : outgoing;

/** 10 s for the rest of a refused body: its client may read the answer only when it has sent it. */
const DISCARD_TIMEOUT_MS = 10_000;

/** A reader that takes nothing for this long is cut off. It may resume with `Last-Event-ID`. */
const STALL_TIMEOUT_MS = 60_000;

/** Whether the answer has been sent, or its client has gone away. */
export function isOver(outgoing: Outgoing): boolean {
  return writableOf(outgoing).destroyed;
}

function isSent(outgoing: Outgoing): boolean {
  // An HTTP/2 stream that its client resets counts as finished too.
  return (
    writableOf(outgoing).writableFinished &&
    !(outgoing instanceof Http2ServerResponse && outgoing.stream.aborted)
  );
}

/** The calls of {@link onOver} that wait, by the answer. */
const OVER = new WeakMap<Outgoing, ((sent: boolean) => void)[]>();

/** Calls `run` once when the answer is over, at once if it already is. `sent`: it arrived whole. */
export function onOver(outgoing: Outgoing, run: (sent: boolean) => void): void {
  const waiting = OVER.get(outgoing);
  if (isOver(outgoing)) run(isSent(outgoing));
  else if (waiting) waiting.push(run);
  else {
    // One listener for all: Node takes more than ten for a leak.
    const runs = [run];
    OVER.set(outgoing, runs);
    outgoing.once("close", () => {
      for (const each of runs) each(isSent(outgoing));
    });
  }
}

/** The part of an answer that its head does not tell, because a wait has opened it before. */
interface LateFacts {
  readonly child?: string;
  /** The code of the problem in the last event. */
  readonly code?: string;
}

const LATE = new WeakMap<Outgoing, LateFacts>();

/** Keeps a fact of an answer that is open already, for those who record the answer. */
export function tellLate(outgoing: Outgoing, facts: LateFacts): void {
  LATE.set(outgoing, { ...LATE.get(outgoing), ...facts });
}

/** The facts that {@link tellLate} has kept. */
export const lateFactsOf = (outgoing: Outgoing): LateFacts => LATE.get(outgoing) ?? {};

/** Whether the client takes no more for now: backpressure. */
export function isFull(outgoing: Outgoing): boolean {
  return writableOf(outgoing).writableNeedDrain;
}

/**
 * Whether the client can tell a whole body of unknown length from a part of it. HTTP/1.0 cannot: it
 * has no chunks that mark the end.
 */
export function hasEnd(outgoing: Outgoing): boolean {
  return outgoing instanceof Http2ServerResponse || outgoing.useChunkedEncodingByDefault;
}

/** Breaks an answer off, so that no client takes the part for the whole. */
export function cutOff(outgoing: Outgoing): void {
  // Without an error code the stream would look complete.
  if (outgoing instanceof Http2ServerResponse)
    outgoing.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  outgoing.destroy();
}

/** Makes this the last request of its connection. Other answers under way on it are completed. */
export function closeAfter(outgoing: Outgoing): void {
  if (outgoing instanceof Http2ServerResponse) outgoing.stream.session?.close();
  else outgoing.setHeader("connection", "close");
}

/**
 * Makes this the last answer of its HTTP/1.1 connection, even while the client still sends: the
 * header makes curl stop. The server closes its own direction first and the connection only when
 * nothing is left to read. Otherwise the client's sending would fail before it reads the answer.
 *
 * @returns a function that undoes this, as long as nothing has been sent.
 */
export function closeBehind(incoming: IncomingMessage, outgoing: Outgoing): () => void {
  if (outgoing instanceof Http2ServerResponse || outgoing.hasHeader("connection")) return () => {};
  const { socket } = incoming;
  const { destroySoon } = socket;
  outgoing.setHeader("connection", "close");
  socket.destroySoon = () => {
    const close = () => {
      clearTimeout(timer);
      socket.destroySoon = destroySoon;
      socket.destroySoon();
    };
    const timer = setTimeout(close, DISCARD_TIMEOUT_MS).unref();
    if (incoming.readableEnded) return close();
    socket.end();
    // The adapter discards the rest, and would close the connection after half a second.
    socket.destroySoon = () => {};
    incoming.once("end", close);
    socket.once("close", () => clearTimeout(timer));
  };
  return () => {
    socket.destroySoon = destroySoon;
    if (!outgoing.headersSent) outgoing.removeHeader("connection");
  };
}

/** Waits while there is backpressure. False: the reader has gone, or stalled and was cut off. */
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
