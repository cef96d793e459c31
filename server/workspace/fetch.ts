/**
 * Fetches files for children. The URL is a stranger's: it is looked at before each connection, redirects included, and the connection goes
 * to the very address that was looked at, so a name that stands for another one a moment later gains nothing.
 */
import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { isIP } from "node:net";
import { Agent, type Dispatcher, request } from "undici";
import type { ErrorCode } from "../../openapi/errors.ts";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { allowsAddress, allowsUrl, type FetchRules } from "./fetch-rules.ts";
import type { Spool, SpoolRange } from "./spool.ts";

export interface FetchOptions {
  readonly rules: FetchRules;
  /** A larger file is refused. */
  readonly maxBytes: number;
  /** Ends the fetching. */
  readonly signal: AbortSignal;
  /** Every address of a name. Default: as the system says. */
  readonly resolve?: (name: string) => Promise<readonly LookupAddress[]>;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const CONNECT_TIMEOUT_MS = 10_000;
/** Until the head of the answer is there, and between two pieces of its body. */
const SILENCE_TIMEOUT_MS = 30_000;
/** For one file. The child's deadline counts as well. */
const FETCH_TIMEOUT_MS = 300_000;

const systemResolve = (name: string) => lookup(name, { all: true, order: "verbatim" });

/** Without a query, in which secrets stand. */
const shown = (url: URL) => `${url.origin}${url.pathname}`;

/** Refuses a URL that the operator does not allow. @throws {PoolError} `forbidden`, `invalid_request` for one with a user. */
export function checkUrl(path: string, given: string, rules: FetchRules): URL {
  const url = new URL(given);
  if (url.username !== "" || url.password !== "")
    throw fault("invalid_request", path, url, "expected a URL without user and password");
  if (!allowsUrl(rules, url))
    throw fault(
      "forbidden",
      path,
      url,
      "the pool's operator has to allow this URL in its option `fetch`, and does not",
    );
  return url;
}

/**
 * Fetches a file to the end of the spool.
 *
 * @param path of the file, for errors.
 * @throws {PoolError} `forbidden` for a URL, or an address, that is not allowed; `payload_too_large`; `fetch_failed` for what the server, the
 *   network or the time made of it.
 */
export async function fetchFile(
  path: string,
  given: string,
  spool: Spool,
  { rules, maxBytes, signal, resolve = systemResolve }: FetchOptions,
): Promise<SpoolRange> {
  const timeout = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const over = AbortSignal.any([signal, timeout]);
  let url = checkUrl(path, given, rules);
  for (let redirects = 0; ; redirects++) {
    const agent = new Agent({
      connect: {
        lookup: pinned(
          await addressesOf(path, url, rules, (name) => orAborted(resolve(name), over)),
        ),
        timeout: CONNECT_TIMEOUT_MS,
      },
    });
    try {
      const answer = await request(url, {
        dispatcher: agent,
        headers: { accept: "*/*", "accept-encoding": "identity", "user-agent": "distributed-pool" },
        headersTimeout: SILENCE_TIMEOUT_MS,
        bodyTimeout: SILENCE_TIMEOUT_MS,
        signal: over,
      });
      // What is let go before its end may call that an error.
      answer.body.on("error", () => {});
      const location = REDIRECTS.has(answer.statusCode) ? answer.headers.location : undefined;
      if (typeof location !== "string") return await receive(path, url, answer, spool, maxBytes);
      if (redirects === MAX_REDIRECTS)
        throw fault("fetch_failed", path, url, `expected at most ${MAX_REDIRECTS} redirects`);
      const next = URL.parse(location, url);
      if (!next) throw fault("fetch_failed", path, url, "expected a redirect to a URL");
      url = checkUrl(path, next.href, rules);
    } catch (error) {
      if (error instanceof PoolError) throw error;
      const why = timeout.aborted ? `it took longer than ${FETCH_TIMEOUT_MS} ms` : messageOf(error);
      throw fault("fetch_failed", path, url, why, error);
    } finally {
      await agent.destroy();
    }
  }
}

function fault(code: ErrorCode, path: string, url: URL, why: string, cause?: unknown): PoolError {
  return PoolError.of(code, `files: ${JSON.stringify(path)} from ${shown(url)}: ${why}`, { cause });
}

/** The addresses of a URL's host; each of them has to be allowed, for nobody knows which one would be taken. */
async function addressesOf(
  path: string,
  url: URL,
  rules: FetchRules,
  resolve: NonNullable<FetchOptions["resolve"]>,
): Promise<readonly LookupAddress[]> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const family = isIP(host);
  const addresses =
    family > 0 ? [{ address: host, family }] : await resolve(host).catch((error: unknown) => error);
  if (!Array.isArray(addresses) || addresses.length === 0)
    throw fault("fetch_failed", path, url, "its name is not known", addresses);
  if (addresses.every(({ address }) => allowsAddress(rules, address))) return addresses;
  throw fault(
    "forbidden",
    path,
    url,
    "expected a public address, or one that the pool's operator allows in its option `fetchAddresses`; it has another one",
  );
}

/** A name server may leave one waiting. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const answered = new AbortController();
  const aborted = once(signal, "abort", { signal: answered.signal }).then(() =>
    Promise.reject(signal.reason),
  );
  aborted.catch(() => {});
  return Promise.race([work, aborted]).finally(() => answered.abort());
}

/** A lookup that knows the answer. */
function pinned(
  addresses: readonly LookupAddress[],
): NonNullable<import("node:net").TcpSocketConnectOpts["lookup"]> {
  return (_name, options, callback) => {
    const [first] = addresses;
    if (options.all) callback(null, [...addresses]);
    else callback(null, first?.address ?? "", first?.family);
  };
}

async function receive(
  path: string,
  url: URL,
  { statusCode, headers, body }: Dispatcher.ResponseData,
  spool: Spool,
  maxBytes: number,
): Promise<SpoolRange> {
  const tooLarge = () =>
    fault(
      "payload_too_large",
      path,
      url,
      `expected at most ${maxBytes} bytes, what is left of the workspace; it has more`,
    );
  if (statusCode !== 200)
    throw fault("fetch_failed", path, url, `expected status 200; got ${statusCode}`);
  if (Number(headers["content-length"] ?? 0) > maxBytes) throw tooLarge();
  const start = spool.end;
  for await (const piece of body as AsyncIterable<Buffer>) {
    if (spool.end - start + piece.length > maxBytes) throw tooLarge();
    await spool.append(piece);
  }
  return { start, bytes: spool.end - start };
}
