/** The Node request behind a handler's context: its body, and whether its client is still there. */
import { IncomingMessage } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { onOver } from "./response.ts";

/** The context of a handler on Node, whatever variables its routes set. */
// biome-ignore lint/suspicious/noExplicitAny: contexts with other variables are assignable to no other type.
export type NodeContext = Context<{ Bindings: HttpBindings; Variables: any }>;

/** Runs `gone` once if the client's connection closes before the answer has been sent. */
export function onClientGone(c: NodeContext, gone: () => void): void {
  onOver(c.env.outgoing, (sent) => {
    if (!sent) gone();
  });
}

/**
 * The body of a request as it comes, read no faster than it is taken. To destroy it leaves the connection open for the answer; the caller
 * has to. It breaks off with an error when the client goes before the body's end.
 */
export function bodyOf(c: NodeContext): Readable {
  const { incoming } = c.env;
  const body = new PassThrough();
  // It may break off before anybody reads it.
  body.on("error", () => {});
  incoming.once("close", () => {
    if (incoming.readableEnded) return;
    if (!(incoming instanceof IncomingMessage && incoming.complete))
      return void body.destroy(new Error("the caller went away before the end of the body"));
    // All of it has come: what waits in its buffer only has to be taken.
    for (let rest = incoming.read(); rest !== null; rest = incoming.read()) body.write(rest);
    body.end();
  });
  return incoming.pipe(body);
}

/** A signal that aborts when the client's connection closes before the answer has been sent. */
export function whileClientIsThere(c: NodeContext): AbortSignal {
  const controller = new AbortController();
  onClientGone(c, () => controller.abort());
  return controller.signal;
}
