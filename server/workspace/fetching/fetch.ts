/**
 * Fetches files for children. The URL is a stranger's, so the server checks it before each
 * connection, redirects included.
 */
import type { IncomingMessage } from "node:http";
import { type ErrorCode, messageOf, PoolError } from "../../../openapi/errors.ts";
import type { Spool, Spooled } from "../spool.ts";
import { type CheckedRequest, sendChecked } from "./checked-request.ts";
import { allowsUrl, type FetchRules } from "./fetch-rules.ts";

/** A file that a caller names by its URL. */
export interface RemoteFile {
  /** Its path in the workspace, for errors. */
  readonly path: string;
  readonly url: string;
}

export interface FetchOptions {
  readonly rules: FetchRules;
  /** Bytes of the file; a larger one is refused. */
  readonly maxBytes: number;
  /** Ends the fetch. */
  readonly signal: AbortSignal;
  /** Every address of a name. Default: the system's resolver. */
  readonly resolve?: CheckedRequest["resolve"];
}

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** The longest silence: of a connection, before the head of the answer, and in its body. */
const SILENCE_TIMEOUT_MS = 30_000;
/** The longest time for one file. The child's deadline counts as well. */
const FETCH_TIMEOUT_MS = 300_000;
const HEADERS = {
  accept: "*/*",
  "accept-encoding": "identity",
  "user-agent": "distributed-pool",
};

/**
 * The URL of a file.
 *
 * @throws {PoolError} `forbidden` for a URL that the operator does not allow, `invalid_request` for
 *   one with a user.
 */
export function checkUrl(file: RemoteFile, rules: FetchRules): URL {
  const url = new URL(file.url);
  if (url.username !== "" || url.password !== "")
    throw fault(file, "invalid_request", "expected a URL without user and password");
  if (!allowsUrl(rules, url))
    throw fault(
      file,
      "forbidden",
      "the pool's operator has to allow this URL in its option `fetch`, and does not",
    );
  return url;
}

/**
 * Fetches a file to the end of the spool.
 *
 * @throws {PoolError} `forbidden` for a URL, or an address, that is not allowed;
 *   `payload_too_large` for a file over `maxBytes`; `fetch_failed` when the server or the network
 *   fails, or the fetch takes longer than 5 minutes.
 */
export async function fetchFile(
  file: RemoteFile,
  spool: Spool,
  options: FetchOptions,
): Promise<Spooled> {
  const timeout = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const signal = AbortSignal.any([options.signal, timeout]);
  let current = file;
  for (let redirects = 0; ; redirects++) {
    const url = checkUrl(current, options.rules);
    let answer: IncomingMessage | undefined;
    try {
      const { rules, resolve } = options;
      answer = await sendChecked(url, {
        rules,
        resolve,
        signal,
        timeout: SILENCE_TIMEOUT_MS,
        headers: HEADERS,
        fail: (code, why) => fault(current, code, why),
      });
      const location = REDIRECTS.has(answer.statusCode ?? 0) ? answer.headers.location : undefined;
      if (location === undefined) return await store(current, answer, { ...options, spool });
      if (redirects === MAX_REDIRECTS)
        throw fault(current, "fetch_failed", `expected at most ${MAX_REDIRECTS} redirects`);
      const next = URL.parse(location, url);
      if (!next) throw fault(current, "fetch_failed", "expected a redirect to a URL");
      current = { ...file, url: next.href };
    } catch (error) {
      if (error instanceof PoolError) throw error;
      throw timeout.aborted
        ? fault(current, "fetch_failed", `it took longer than ${FETCH_TIMEOUT_MS} ms`)
        : fault(current, "fetch_failed", error);
    } finally {
      answer?.destroy();
    }
  }
}

/**
 * @param why a text, or the error that is the cause. The URL is shown without its query, which may
 *   hold secrets.
 */
function fault({ path, url }: RemoteFile, code: ErrorCode, why: unknown): PoolError {
  const { origin, pathname } = new URL(url);
  return PoolError.of(
    code,
    `files: ${JSON.stringify(path)} from ${origin}${pathname}: ${messageOf(why)}`,
    why instanceof Error ? { cause: why } : {},
  );
}

async function store(
  file: RemoteFile,
  answer: IncomingMessage,
  { spool, maxBytes }: { readonly spool: Spool; readonly maxBytes: number },
): Promise<Spooled> {
  const checkSize = (bytes: number) => {
    if (bytes > maxBytes)
      throw fault(
        file,
        "payload_too_large",
        `expected at most ${maxBytes} bytes, what is left of the workspace; it has more`,
      );
  };
  if (answer.statusCode !== 200)
    throw fault(file, "fetch_failed", `expected status 200; got ${answer.statusCode}`);
  checkSize(Number(answer.headers["content-length"] ?? 0));
  async function* bounded() {
    let bytes = 0;
    for await (const piece of answer as AsyncIterable<Buffer>) {
      bytes += piece.length;
      checkSize(bytes);
      yield piece;
    }
  }
  return spool.add(bounded());
}
