/** Bodies that are taken piece by piece, however long they take, as long as they go on. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { isMultipart, isRaw } from "./multipart.ts";

type Incoming = IncomingMessage | Http2ServerRequest;

/** Whether the body is one of those: files of a child spec, or a child's input. */
export function isStreamed({ method, url = "", headers }: Incoming): boolean {
  return method === "POST" && (isMultipart(headers["content-type"]) || isRaw(headers["content-type"]) || /^\/children\/[^/]+\/stdin(\?|$)/.test(url));
}

/** So much an upload has to bring each time. A child's input may come as slowly as somebody types. */
const MIN_UPLOAD_BYTES = 65_536;

/** Tells once that a body is late, which does not go on each time although it is being read; and that its time no longer counts. */
export function timeStreamed(incoming: Incoming, timeoutMs: number, tell: { late(): void; over(): void }): void {
  // Over HTTP/2 what others bring on the same connection counts too.
  const { socket } = incoming;
  const least = isMultipart(incoming.headers["content-type"]) ? MIN_UPLOAD_BYTES : 1;
  let seen = socket.bytesRead;
  const timer = setInterval(() => {
    const goesOn = incoming.isPaused() || incoming.readableLength > 0 || socket.bytesRead >= seen + least;
    seen = socket.bytesRead;
    if (goesOn) return;
    over();
    if (!incoming.complete) tell.late();
  }, timeoutMs);
  const over = () => {
    clearInterval(timer);
    tell.over();
  };
  incoming.once("close", over).once("end", over);
}
