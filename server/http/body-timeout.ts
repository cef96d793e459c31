/** Bodies that are taken piece by piece, however long they take. */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { isMultipart } from "./multipart.ts";

type Incoming = IncomingMessage | Http2ServerRequest;

/** In the head of a request whose body is the child's input: the child spec, as JSON in ASCII. */
export const SPEC_HEADER = "pool-spec";

/** What the routes read as JSON, whose size is bounded: no body of such a type may pass for one that is streamed. */
const JSON_TYPE = /^application\/([\w.-]+\+)?json/i;

/**
 * Whether the body is a child's input: bytes that are nothing but themselves, or anything that has the child spec beside it and could not
 * hold one, as curl sends a file unless told what it is.
 */
export function isRaw({
  url = "",
  headers,
}: {
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}): boolean {
  const type = headers["content-type"];
  if (/^application\/octet-stream\b/i.test(type ?? "")) return true;
  const holdsSpec = isMultipart(type) || JSON_TYPE.test(type ?? "");
  return !holdsSpec && (headers[SPEC_HEADER] !== undefined || /[?&]spec=/.test(url));
}

/** Whether the body is one of those: files of a child spec, or a child's input. */
export function isStreamed(incoming: Incoming): boolean {
  const { method, headers } = incoming;
  return (
    method === "POST" &&
    (isMultipart(headers["content-type"]) || isRaw(incoming) || isInput(incoming))
  );
}

/** Whether the body goes straight to a child. Its sender may be silent: whoever types is. */
function isInput(incoming: Incoming): boolean {
  const { url = "" } = incoming;
  return (
    /^\/children\/[^/]+\/stdin(\?|$)/.test(url) ||
    (isRaw(incoming) && /^(\/pools\/[^/]+)?\/call(\?|$)/.test(url))
  );
}

/** So much an upload has to bring each time. */
const MIN_UPLOAD_BYTES = 65_536;

/** Tells once that a body is late, which is kept and does not go on each time although it is being read; and that its time no longer counts. */
export function timeStreamed(
  incoming: Incoming,
  timeoutMs: number,
  tell: { late(): void; over(): void },
): void {
  // Over HTTP/2 what others bring on the same connection counts too.
  const { socket } = incoming;
  let seen = socket.bytesRead;
  const check = () => {
    const goesOn =
      incoming.isPaused() ||
      incoming.readableLength > 0 ||
      socket.bytesRead >= seen + MIN_UPLOAD_BYTES;
    seen = socket.bytesRead;
    if (goesOn) return;
    over();
    if (!incoming.complete) tell.late();
  };
  const timer = isInput(incoming) ? undefined : setInterval(check, timeoutMs);
  const over = () => {
    clearInterval(timer);
    tell.over();
  };
  incoming.once("close", over).once("end", over);
}
