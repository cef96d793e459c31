/**
 * Lets web pages of named origins call from a browser (CORS). The headers stand on the Node
 * response itself, so that problems and streams carry them too.
 */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";

const METHODS = "GET, HEAD, POST, PATCH, DELETE";
const REQUEST_HEADERS =
  "authorization, content-type, last-event-id, pool-spec, range, idempotency-key, " +
  "traceparent, tracestate";
const ANSWER_HEADERS =
  "pool-child-id, pool-load, pool-member, retry-after, location, content-range, " +
  "www-authenticate, allow";
/** 10 minutes: a browser asks again no sooner. */
const MAX_AGE_SECONDS = 600;

type Preflight = Pick<Context<{ Bindings: HttpBindings }>, "env" | "req" | "body">;
type Answer = Response | undefined;

/**
 * Returns the answer to a preflight of these origins, and shows their pages all other answers.
 * Tokens are the only credentials: cookies are not allowed.
 */
export function cors(origins: () => readonly string[]): (c: Preflight) => Answer {
  return (c) => {
    const { outgoing } = c.env;
    if (origins().length === 0 || !outgoing) return undefined;
    // A cache must not give the answer for one origin to another one.
    outgoing.setHeader("vary", "Origin");
    const origin = c.req.header("origin");
    if (origin === undefined || !origins().includes(origin)) return undefined;
    outgoing.setHeader("access-control-allow-origin", origin);
    const isPreflight =
      c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined;
    if (!isPreflight) {
      outgoing.setHeader("access-control-expose-headers", ANSWER_HEADERS);
      return undefined;
    }
    return c.body(null, 204, {
      "access-control-allow-methods": METHODS,
      "access-control-allow-headers": REQUEST_HEADERS,
      "access-control-max-age": String(MAX_AGE_SECONDS),
    });
  };
}
