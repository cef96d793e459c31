/** Server-sent events on the Node response: written no faster than the reader takes them, ended after the terminal event. */
import type { Readable } from "node:stream";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createSession, type Session } from "better-sse";
import type { Problem } from "../../openapi/errors.ts";
import { HEARTBEAT_MS, type PoolEvent, type SlotEvent } from "../../openapi/events.ts";
import { type NodeContext, onClientGone } from "../http/request.ts";
import { cutOff, drained, isFull } from "../http/response.ts";
import type { LogReader } from "../supervisor/output/log-reader.ts";

/** In the head of a call's answer: which child it is, for whoever goes on with it by another way. */
export const CHILD_HEADER = "pool-child-id";

export type { Session };
/** A session whose data is JSON already, on one line. Fields are written as `event: placed`, with the space that most people expect. */
export function openSession(c: NodeContext, keepAlive: number | null): Promise<Session> {
  // The end of a body would be taken for that of its client, which may be sent the answer meanwhile, and after it.
  const request: typeof c.env.incoming = Object.create(c.env.incoming, {
    once: { value: () => request },
  });
  return createSession(request, c.env.outgoing, {
    retry: null,
    keepAlive,
    serializer: (data) => data as string,
    sanitizer: (text) => ` ${text}`,
    trustClientEventId: false,
    // HTTP/2 forbids it, and HTTP/1.1 means it anyway.
    headers: { connection: undefined },
  });
}

/** Answers HEAD, which the router takes for a GET whose answer it then empties: it must not be sent already. */
export function headOnly(
  unread: Readable | undefined,
  headers: Readonly<Record<string, string>>,
  status = 200,
): Response {
  // What is let go before its end may call that an error.
  unread?.on("error", () => {}).destroy();
  return new Response(null, { status, headers });
}

/**
 * The stream of a call that may have to wait before there is a child. It is opened by the first thing that is said in it: until then
 * the answer can still be a problem with its own status. Its events carry no id.
 */
export class WaitingStream {
  readonly #c: NodeContext;
  #session: Promise<Session> | undefined;
  #said: Promise<unknown> = Promise.resolve();

  constructor(c: NodeContext) {
    this.#c = c;
  }

  /** The session, once something has been said. */
  get session(): Promise<Session> | undefined {
    const session = this.#session;
    return session && this.#said.then(() => session);
  }

  say(event: PoolEvent | SlotEvent): void {
    this.#session ??= openSession(this.#c, HEARTBEAT_MS);
    const { outgoing } = this.#c.env;
    const frame = `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
    // What a reader that takes nothing is not told costs it a position that is old by then.
    this.#said = this.#session
      .then(() => (event.type === "queued" && isFull(outgoing) ? undefined : outgoing.write(frame)))
      .catch(() => cutOff(outgoing));
  }

  /** Ends the stream, with its failure where there is one. */
  end(failure?: Problem): Response {
    if (failure) this.say({ type: "failed", problem: failure });
    void this.#said.then(() => this.#c.env.outgoing.end());
    return RESPONSE_ALREADY_SENT;
  }
}

export const STREAM_TYPE = { "content-type": "text/event-stream" };

/** Streams a child's log to its end, in a stream that has been opened where there is one. `gone` runs if the reader leaves before. */
export async function streamLog(
  c: NodeContext,
  reader: LogReader,
  gone?: () => void,
  opened?: Promise<Session>,
): Promise<Response> {
  if (c.req.method === "HEAD") {
    reader.cut();
    return headOnly(undefined, STREAM_TYPE);
  }
  onClientGone(c, () => {
    // Whoever was cut off comes back in a moment.
    reader.cut();
    gone?.();
  });
  const { outgoing } = c.env;
  const session = await (opened ?? openSession(c, HEARTBEAT_MS));
  void (async () => {
    for await (const { frame } of reader) {
      if (!session.isConnected) return;
      outgoing.write(frame);
      if (!(await drained(outgoing))) return;
    }
    outgoing.end();
  })().catch(() => cutOff(outgoing));
  return RESPONSE_ALREADY_SENT;
}

/** Answers with bytes, no faster than they are taken. One that is cut has fewer of them than its content-length says. */
export function sendFile(
  c: NodeContext,
  bytes: Readable,
  headers: Readonly<Record<string, string>>,
  status = 200,
): Response {
  // A browser must not take a child's file for a page of ours.
  const safe = { ...headers, "x-content-type-options": "nosniff" };
  if (c.req.method === "HEAD") return headOnly(bytes, safe, status);
  const { outgoing } = c.env;
  outgoing.writeHead(status, safe);
  void (async () => {
    for await (const chunk of bytes) {
      outgoing.write(chunk);
      if (!(await drained(outgoing))) return;
    }
    outgoing.end();
  })().catch(() => cutOff(outgoing));
  return RESPONSE_ALREADY_SENT;
}
