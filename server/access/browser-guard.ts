/**
 * Keeps web pages out where no token does: a page of another site that a browser on this machine shows must not run
 * programs here, be it by a request to this address or by a name of its own that it lets resolve to it (DNS rebinding).
 */
import { Http2ServerRequest } from "node:http2";
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { Http2Bindings } from "@hono/node-server";
import type { Context } from "hono";
import { PoolError } from "../../openapi/errors.ts";

export interface BrowserGuardOptions {
  /** Whether callers show a token: a page has none, so it gets no further by itself. */
  readonly authenticated: boolean;
  /** Whether it listens on loopback only. */
  readonly loopback: boolean;
  /** `HOST:PORT` under which others reach this member. */
  readonly advertise?: string | undefined;
  /** Whether it serves https. */
  readonly secure: boolean;
}

/** Whether an address, or a name for one, is of this machine alone. */
export function isLoopback(host: string): boolean {
  return /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|\[::1\]|localhost)$/.test(host);
}

/** The name in `HOST:PORT`, in small letters, without the port and a final dot; undefined for what is none. */
function nameIn(host: string): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::\d{1,5})?$/.exec(host.toLowerCase())?.[1];
}

/** Host, or what HTTP/2 has in its place. @throws {PoolError} `invalid_request` for two that differ. */
function hostOf(c: Context): string {
  const { incoming } = (c.env ?? {}) as Partial<Http2Bindings>;
  const host = c.req.header("host");
  if (!(incoming instanceof Http2ServerRequest)) return host ?? "";
  const { authority } = incoming;
  if (host !== undefined && host !== authority) {
    throw PoolError.of(
      "invalid_request",
      `expected no Host, or the one in :authority; got ${JSON.stringify(host.slice(0, 255))}`,
    );
  }
  return authority ?? "";
}

/** Makes the check of each request. It throws {@link PoolError} `forbidden`. */
export function createBrowserGuard({
  authenticated,
  loopback,
  advertise,
  secure,
}: BrowserGuardOptions): (c: Context) => void {
  const known = new Set([
    advertise === undefined ? undefined : nameIn(advertise),
    ...(loopback ? [] : ["localhost", hostname().toLowerCase()]),
  ]);
  const isOurs = (name: string) =>
    known.has(name) || (loopback ? isLoopback(name) : isIP(name.replace(/^\[|\]$/g, "")) > 0);

  return (c) => {
    const header = (name: string) => c.req.header(name);
    const origin = header("origin");
    if (c.req.method === "OPTIONS" && header("access-control-request-method") !== undefined)
      throw PoolError.of(
        "forbidden",
        `no other site may call from a browser; got a preflight request of ${JSON.stringify(origin ?? "none")}`,
      );
    if (authenticated) return;
    const host = hostOf(c);
    const name = nameIn(host);
    if (name === undefined || !isOurs(name)) {
      const expected = loopback
        ? "a loopback address"
        : "an IP address, localhost, this machine's name";
      throw PoolError.of(
        "forbidden",
        `expected Host to be ${expected} or the advertised host; got ${JSON.stringify(host.slice(0, 255))}`,
      );
    }
    const own = `${secure ? "https" : "http"}://${host.toLowerCase()}`;
    if (origin !== undefined && origin.toLowerCase() !== own)
      throw PoolError.of(
        "forbidden",
        `expected no Origin, or ${own}; got ${JSON.stringify(origin.slice(0, 255))}`,
      );
    const site = header("sec-fetch-site");
    const isLink =
      c.req.method === "GET" &&
      header("sec-fetch-mode") === "navigate" &&
      header("sec-fetch-dest") === "document";
    if ((site === "cross-site" || site === "same-site") && !isLink)
      throw PoolError.of(
        "forbidden",
        `expected a request of this origin's own pages, or of no page; got Sec-Fetch-Site: ${site}`,
      );
  };
}
