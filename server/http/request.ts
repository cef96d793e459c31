/** The Node request behind a handler's context: its body, and whether its client is still there. */
import { IncomingMessage } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { onOver } from "./response.ts";

/** The context of a handler on Node, whatever variables its routes set. */
// biome-ignore lint/suspicious/noExplicitAny: contexts with other variables fit no other type.
export type NodeContext = Context<{ Bindings: HttpBindings; Variables: any }>;

/**
 * Makes the context read headers from the Node request. A web `Headers` would be made anew of all
 * of them.
 */
export function readNodeHeaders({ req, env: { incoming } }: NodeContext): void {
  // Node drops a header that comes twice over HTTP/2, where web headers have both.
  if (!incoming || incoming.httpVersionMajor === 2) return;
  const header = (name?: string) => {
    const { headers } = incoming;
    if (name !== undefined) return textOf(headers[name.toLowerCase()]);
    const fields = Object.entries(headers);
    return Object.fromEntries(fields.map(([each, value]) => [each, textOf(value)]));
  };
  req.header = header as typeof req.header;
}

const textOf = (value: string | readonly string[] | undefined) =>
  typeof value === "object" ? value.join(", ") : value;

/** Makes the context read headers from its web request, which has replaced the Node one. */
export function readWebHeaders({ req }: NodeContext): void {
  delete (req as { header?: unknown }).header;
}

/** Runs `gone` once if the client's connection closes before the answer has been sent. */
export function onClientGone(c: NodeContext, gone: () => void): void {
  onOver(c.env.outgoing, (sent) => {
    if (!sent) gone();
  });
}

/**
 * The body of a request as a stream, with backpressure. It fails when the client goes away before
 * its end. The caller must destroy it: that leaves the connection open for the answer.
 */
export function bodyOf(c: NodeContext): Readable {
  const { incoming } = c.env;
  const body = new PassThrough();
  // The body may fail before the caller reads it.
  body.on("error", () => {});
  incoming.once("close", () => {
    if (incoming.readableEnded) return;
    if (!(incoming instanceof IncomingMessage && incoming.complete))
      return void body.destroy(new Error("the caller went away before the end of the body"));
    // The whole body has arrived: the rest of it waits in the buffer of the request.
    for (let rest = incoming.read(); rest !== null; rest = incoming.read()) body.write(rest);
    body.end();
  });
  return incoming.pipe(body);
}

/** The bytes of a body, which has to be small. Fails when the client goes away before its end. */
export function bytesOf(incoming: HttpBindings["incoming"]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const gone = () => reject(new Error("the caller went away before the end of the body"));
    if (incoming.destroyed) return gone();
    incoming
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .once("end", () => resolve(Buffer.concat(chunks)))
      .once("close", () => {
        if (!incoming.readableEnded) gone();
      });
  });
}

/** A signal that aborts when the client's connection closes before the answer has been sent. */
export function whileClientIsThere(c: NodeContext): AbortSignal {
  const controller = new AbortController();
  onClientGone(c, () => controller.abort());
  return controller.signal;
}
