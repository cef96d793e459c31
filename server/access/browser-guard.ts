/**
 * Refuses requests of other sites' web pages. A page in a browser on this machine could otherwise
 * run programs here: by a request to this address, or by a name of its own that resolves to this
 * address (DNS rebinding).
 */
import { Http2ServerRequest } from "node:http2";
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { Http2Bindings } from "@hono/node-server";
import type { Context } from "hono";
import { PoolError } from "../../openapi/errors.ts";
import { isLoopback } from "../../sdk/typescript/trust/loopback.ts";

export interface BrowserGuardOptions {
  /**
   * Whether callers need a token. A page of another site has none, so the guard checks less then.
   */
  readonly authenticated: boolean;
  /** Whether the member listens on loopback only. */
  readonly loopback: boolean;
  /** `HOST:PORT` at which others reach this member. */
  readonly advertise?: string | undefined;
  /** The origin at which callers reach this member through a proxy. */
  readonly publicUrl?: string | undefined;
  /** Whether the member serves https. */
  readonly secure: boolean;
  /** The origins whose pages may call. */
  corsOrigins(): readonly string[];
}

/**
 * The name in `HOST:PORT` in lower case, without port and final dot; undefined if the text has no
 * such form.
 */
function nameIn(host: string): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::\d{1,5})?$/.exec(host.toLowerCase())?.[1];
}

const listOf = <T>(value: T | undefined): T[] => (value === undefined ? [] : [value]);
const refusal = (detail: string) => PoolError.of("forbidden", detail);
/** A header's value for a message, which it may not flood. */
const shown = (value: string) => JSON.stringify(value.slice(0, 255));

/**
 * The `Host` of a request; over HTTP/2 its `:authority`.
 *
 * @throws {PoolError} `invalid_request` where a request has both and they differ.
 */
function hostOf(c: Context): string {
  const { incoming } = (c.env ?? {}) as Partial<Http2Bindings>;
  const host = c.req.header("host");
  if (!(incoming instanceof Http2ServerRequest)) return host ?? "";
  const { authority } = incoming;
  if (host !== undefined && host !== authority) {
    throw PoolError.of(
      "invalid_request",
      `expected no Host, or the one in :authority; got ${shown(host)}`,
    );
  }
  return authority ?? "";
}

/** Returns the check for each request, which throws {@link PoolError} `forbidden`. */
export function createBrowserGuard({
  authenticated,
  loopback,
  advertise,
  publicUrl,
  secure,
  corsOrigins,
}: BrowserGuardOptions): (c: Context) => void {
  const names = new Set([
    advertise === undefined ? undefined : nameIn(advertise),
    publicUrl === undefined ? undefined : nameIn(new URL(publicUrl).host),
    ...(loopback ? [] : ["localhost", hostname().toLowerCase()]),
  ]);
  const isOurs = (name: string) =>
    names.has(name) || (loopback ? isLoopback(name) : isIP(name.replace(/^\[|\]$/g, "")) > 0);

  return (c) => {
    const header = (name: string) => c.req.header(name);
    const origin = header("origin");
    if (c.req.method === "OPTIONS" && header("access-control-request-method") !== undefined)
      throw refusal(
        "no other site may call from a browser; " +
          `got a preflight request of ${shown(origin ?? "none")}`,
      );
    if (authenticated) return;
    const host = hostOf(c);
    const name = nameIn(host);
    if (name === undefined || !isOurs(name)) {
      const expected = loopback
        ? "a loopback address"
        : "an IP address, localhost, this machine's name";
      throw refusal(
        `expected Host to be ${expected} or the advertised or public host; got ${shown(host)}`,
      );
    }
    if (origin !== undefined && corsOrigins().includes(origin)) return;
    // A proxy may pass another `Host` on than the one that the page asked for.
    const own = [`${secure ? "https" : "http"}://${host.toLowerCase()}`, ...listOf(publicUrl)];
    if (origin !== undefined && !own.includes(origin.toLowerCase()))
      throw refusal(`expected no Origin, or ${own.join(" or ")}; got ${shown(origin)}`);
    const site = header("sec-fetch-site");
    // A reader may follow a link from another site: that site cannot read the answer.
    const isLink =
      c.req.method === "GET" &&
      header("sec-fetch-mode") === "navigate" &&
      header("sec-fetch-dest") === "document";
    if ((site === "cross-site" || site === "same-site") && !isLink)
      throw refusal(
        `expected a request of this origin's own pages, or of no page; got Sec-Fetch-Site: ${site}`,
      );
  };
}
