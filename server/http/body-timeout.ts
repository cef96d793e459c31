/** Timeouts of bodies that are streamed, which may take as long as they make progress. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { bodyKind, isLiveInput } from "../../openapi/bodies.ts";

type Incoming = IncomingMessage | Http2ServerRequest;

/** Whether the body is read piece by piece: files of a child spec, or a child's input. */
export function isStreamed(incoming: Incoming): boolean {
  return incoming.method === "POST" && (bodyKind(incoming) !== "json" || isLiveInput(incoming));
}

/** The least progress of an upload in each interval. */
const MIN_UPLOAD_BYTES = 65_536;

/**
 * Calls `late` when an upload makes no progress for `timeoutMs` although the server reads it.
 * Calls `over` when the body has ended, and before `late`. A child's live input is never late:
 * people who type pause.
 */
export function timeStreamed(
  incoming: Incoming,
  timeoutMs: number,
  { late, over = () => {} }: { late(): void; over?(): void },
): void {
  // Over HTTP/2 the other requests of the connection count as progress too.
  const { socket } = incoming;
  let seen = socket.bytesRead;
  const check = () => {
    const makesProgress =
      incoming.isPaused() ||
      incoming.readableLength > 0 ||
      socket.bytesRead >= seen + MIN_UPLOAD_BYTES;
    seen = socket.bytesRead;
    if (makesProgress) return;
    end();
    if (!incoming.complete) late();
  };
  const timer = isLiveInput(incoming) ? undefined : setInterval(check, timeoutMs);
  const end = () => {
    clearInterval(timer);
    over();
  };
  incoming.once("close", end).once("end", end);
}
