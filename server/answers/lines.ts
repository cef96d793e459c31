/**
 * The lines of a stream of events. Some line readers stop at 64 KiB, such as Go's, so lines stay
 * below. Only a terminal event can be longer, by a function's value or by many artifacts.
 */
import type { Context } from "hono";
import { parseAccept } from "hono/utils/accept";
import type { TerminalEvent } from "../../openapi/events.ts";
import { REQUEST_HEADER } from "../../openapi/names.ts";
import type { Lines } from "../../sdk/typescript/http/client.ts";
import { eventFrame } from "../http/event-frame.ts";
import type { LogEntry } from "../supervisor/output/log-entry.ts";
import { partsOf } from "../supervisor/output/partial-event.ts";

/** The line and the framing of its event. */
const MAX_FRAME_BYTES = 65_500;

/**
 * The lines that the caller of a request reads. `Accept: text/event-stream;lines=long` asks for
 * long ones. Gateways of the last release do not say it, and name their try instead.
 */
export function linesOf(c: Context): Lines {
  const accepted = parseAccept(c.req.header("accept") ?? "");
  const { lines } = accepted.find(({ type }) => type === "text/event-stream")?.params ?? {};
  if (lines === "long" || lines === "short") return lines;
  return c.req.header(REQUEST_HEADER) === undefined ? "short" : "long";
}

/** An event as a frame of a stream with such lines. */
export function frameOf(entry: LogEntry, lines: Lines): Buffer {
  // The frame of a value of 16 MiB is not made to be dropped.
  if (lines === "long" || entry.heldBytes <= MAX_FRAME_BYTES) {
    const { frame } = entry;
    if (lines === "long" || frame.length <= MAX_FRAME_BYTES) return frame;
  }
  return partsOf(entry.event as TerminalEvent)
    .map((part) => eventFrame(part, entry.id))
    .find(({ length }) => length <= MAX_FRAME_BYTES) as Buffer;
}
