/** A client of HTTP/2 that does exactly as it is told. */
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type SecureClientSessionOptions,
} from "node:http2";
import { onTestFinished } from "vitest";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { readEvents } from "../../sdk/typescript/http/read-events.ts";
import { within } from "./member.ts";

export async function connectTo(
  url: string,
  options: SecureClientSessionOptions,
): Promise<ClientHttp2Session> {
  const session = connect(url, options);
  // Tests look at the outcome of their streams.
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  await within("the connection", once(session, "connect"));
  return session;
}

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly stream: ClientHttp2Stream;
}

/** Opens a stream: with an object, a POST of it as JSON. */
export function open(
  session: ClientHttp2Session,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): ClientHttp2Stream {
  const stream = session.request({
    ":path": path,
    ":method": body === undefined ? "GET" : "POST",
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...headers,
  });
  stream.on("error", () => {});
  stream.end(body === undefined ? undefined : JSON.stringify(body));
  return stream;
}

export async function headOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  const [headers] = (await within("the head of the answer", once(stream, "response"))) as [
    IncomingHttpHeaders,
  ];
  return { status: Number(headers[":status"]), headers, stream };
}

export async function bytesOf(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const read = async () => {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  };
  await within("the body", read());
  if (stream.rstCode !== 0) throw new Error(`the stream was reset: ${stream.rstCode}`);
  return Buffer.concat(chunks);
}

/** Asks, and reads the whole answer. */
export async function ask(
  ...given: Parameters<typeof open>
): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
  const { status, headers, stream } = await headOf(open(...given));
  return { status, headers, text: (await bytesOf(stream)).toString() };
}

export function eventsIn(
  stream: ClientHttp2Stream,
): AsyncGenerator<NumberedEvent, void, undefined> {
  return readEvents(stream);
}
