/** Server-sent events: those of a child's log, and those of the wait for a slot. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createSession, type Session } from "better-sse";
import type { Problem } from "../../openapi/errors.ts";
import type { PoolEvent, SlotEvent } from "../../openapi/events.ts";
import { CHILD_HEADER } from "../../openapi/names.ts";
import type { Lines } from "../../sdk/typescript/http/client.ts";
import { eventFrame } from "../http/event-frame.ts";
import { problemOf } from "../http/problems.ts";
import type { NodeContext } from "../http/request.ts";
import { cutOff, drained, isFull, isOver, onOver, tellLate } from "../http/response.ts";
import type { LogEntry } from "../supervisor/output/log-entry.ts";
import type { LogReader } from "../supervisor/output/log-reader.ts";
import type { Waiter } from "../supervisor/slots/waiter.ts";
import { frameOf, linesOf } from "./lines.ts";
import { send, UNBUFFERED } from "./send.ts";

/** Names the child in the head of an answer, unless a wait has opened the answer already. */
export function nameChild({ env: { outgoing } }: NodeContext, id: string): void {
  if (outgoing.headersSent) tellLate(outgoing, { child: id });
  else outgoing.setHeader(CHILD_HEADER, id);
}

/** Calls `run` again and again, a heartbeat apart, until the answer is over. */
export function beat(c: NodeContext, run: () => void) {
  const { outgoing } = c.env;
  if (isOver(outgoing)) return;
  const timer = setInterval(run, c.get("heartbeatMs"));
  onOver(outgoing, () => clearInterval(timer));
}

/** A comment, which keeps proxies from cutting a silent stream. */
export const HEARTBEAT = ":\n\n";

/** Without a charset, some clients take text for Latin-1. */
export const EVENTS_TYPE = { "content-type": "text/event-stream; charset=utf-8" };

export type { Session };

/**
 * Opens an answer of events. Their data is JSON on one line already. Fields are written with a
 * space, as in `event: placed`: most people expect one.
 *
 * @param isSilent whether the member itself has to send heartbeats.
 */
export function openSession(c: NodeContext, isSilent: boolean): Promise<Session> {
  // The session would take the end of the request's body for the end of its client. But a client
  // may end its body long before it has read the answer.
  const request: typeof c.env.incoming = Object.create(c.env.incoming, {
    once: { value: () => request },
  });
  const { outgoing } = c.env;
  // A session's own heartbeat would go on for ever where the client leaves before its head is sent.
  if (isSilent) beat(c, () => outgoing.headersSent && outgoing.write(HEARTBEAT));
  return createSession(request, outgoing, {
    retry: null,
    keepAlive: null,
    serializer: (data) => data as string,
    sanitizer: (text) => ` ${text}`,
    trustClientEventId: false,
    // HTTP/2 forbids `connection`, and HTTP/1.1 means it anyway.
    headers: { ...EVENTS_TYPE, connection: undefined },
  });
}

/**
 * A stream that may begin before there is a child. Its first event opens it: until then the answer
 * can still be a problem with a status of its own. Its events carry no id.
 */
export class EarlyStream {
  readonly #c: NodeContext;
  #session: Promise<Session> | undefined;
  #written: Promise<unknown> = Promise.resolve();

  constructor(c: NodeContext) {
    this.#c = c;
  }

  /** The open session; undefined before the first event. Resolves when the events are written. */
  get session(): Promise<Session> | undefined {
    const session = this.#session;
    return session && this.#written.then(() => session);
  }

  /** Writes an event. A slow client gets no positions, which would be old when it reads them. */
  write(event: PoolEvent | SlotEvent): void {
    this.#session ??= openSession(this.#c, true);
    const { outgoing } = this.#c.env;
    const frame = eventFrame(event);
    this.#written = this.#session
      .then(() => (event.type === "queued" && isFull(outgoing) ? undefined : outgoing.write(frame)))
      .catch(() => cutOff(outgoing));
  }

  /** Waits until a slow client takes more. False when it has gone, or was cut off. */
  async drained(): Promise<boolean> {
    await this.#written;
    return drained(this.#c.env.outgoing);
  }

  /** Ends the stream, with its failure where there is one. */
  end(failure?: Problem): Response {
    if (failure) {
      this.write({ type: "failed", problem: failure });
      tellLate(this.#c.env.outgoing, { code: failure.code });
    }
    void this.#written.then(() => this.#c.env.outgoing.end());
    return RESPONSE_ALREADY_SENT;
  }
}

/**
 * Runs a call that may write events before there is a child. A failure before the first event is
 * the answer itself; a later one ends the stream.
 */
export async function withEarlyStream(
  c: NodeContext,
  logError: (message: string) => void,
  run: (stream: EarlyStream) => Promise<Response>,
): Promise<Response> {
  const stream = new EarlyStream(c);
  try {
    return await run(stream);
  } catch (error) {
    if (!stream.session) throw error;
    return stream.end(await problemOf(error, c, logError));
  }
}

/**
 * Sends the events of a child's log, to its end.
 *
 * @param opened the session of an answer that is open already.
 */
export async function sendEvents(
  c: NodeContext,
  reader: LogReader,
  opened?: Promise<Session>,
): Promise<Response> {
  const lines = linesOf(c);
  const { outgoing } = c.env;
  const isAlone = !opened && c.req.method !== "HEAD";
  const first = isAlone ? await firstFrames(reader, lines) : undefined;
  if (first?.isWhole && first.bytes <= MAX_TOGETHER_BYTES && !isOver(outgoing)) {
    const length = { "content-length": first.bytes };
    outgoing.writeHead(200, { ...EVENTS_TYPE, ...UNBUFFERED, ...length });
    // Text leaves with the head in one write.
    outgoing.end(Buffer.concat(first.frames).toString());
    return RESPONSE_ALREADY_SENT;
  }
  return send<LogEntry>(c, {
    headers: EVENTS_TYPE,
    pieces: reader,
    discard: () => reader.cut(),
    open: async () => {
      await (opened ?? openSession(c, true));
      for (const frame of first?.frames ?? []) outgoing.write(frame);
    },
    write: (outgoing, entry) => outgoing.write(frameOf(entry, lines)),
  });
}

/**
 * 20 ms: `placed` waits so long for the next event. The events of a short call leave together, and
 * on a member that is busy too, where that counts most.
 */
const PLACED_MS = 20;
/** 4 ms: so long do the first events behind `placed` wait for others. */
const TOGETHER_MS = 4;
const MAX_TOGETHER_BYTES = 65_536;

/** The frames of the first events, and whether they are all. */
async function firstFrames(reader: LogReader, lines: Lines) {
  const frames: Buffer[] = [];
  let bytes = 0;
  let isLate = false;
  const late = () => {
    isLate = true;
    reader.wake();
  };
  let timer = setTimeout(late, PLACED_MS);
  let isWhole = false;
  while (!isWhole && bytes < MAX_TOGETHER_BYTES) {
    const entry = reader.take();
    isWhole = entry === null;
    if (entry) {
      const frame = frameOf(entry, lines);
      if (frames.push(frame) === 2) {
        clearTimeout(timer);
        timer = setTimeout(late, TOGETHER_MS);
      }
      bytes += frame.length;
    } else if (isLate) break;
    else if (!isWhole) await reader.changed();
  }
  clearTimeout(timer);
  return { frames, bytes, isWhole };
}

/**
 * The positions of a waiter, then its slot. The events end when the slot is no longer held.
 *
 * @throws {PoolError} the reason why the waiter gets no slot.
 */
export async function* slotEvents(
  waiter: Pick<Waiter, "granted" | "settled" | "onPosition">,
): AsyncGenerator<SlotEvent, void, undefined> {
  let position = 0;
  let moved = Promise.withResolvers<void>();
  waiter.onPosition((now) => {
    position = now;
    moved.resolve();
  });
  for (;;) {
    const slot = await Promise.race([moved.promise, waiter.granted]);
    if (slot) {
      yield { type: "granted", slot };
      return waiter.settled;
    }
    moved = Promise.withResolvers();
    yield { type: "queued", position };
  }
}
