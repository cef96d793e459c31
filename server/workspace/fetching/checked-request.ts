/** Sends a request to a URL that a caller named, at an address that the operator allows. */
import { once } from "node:events";
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { request as secureRequest } from "node:https";
import type { ErrorCode } from "../../../openapi/errors.ts";
import {
  checkedAddresses,
  lookupOf,
  type Resolve,
} from "../../sandbox/egress/checked-addresses.ts";
import type { FetchRules } from "./fetch-rules.ts";

export interface CheckedRequest extends Pick<RequestOptions, "method" | "headers"> {
  readonly rules: Pick<FetchRules, "addresses">;
  /** Every address of a name. Default: the system's resolver. */
  readonly resolve?: Resolve | undefined;
  /** Ends the request, and its answer. */
  readonly signal: AbortSignal;
  /** The longest silence of the connection, in milliseconds. Default: any. */
  readonly timeout?: number;
  /** Default: none. */
  readonly body?: string;
  /** Makes the error for a name that is not known, or for an address that is not allowed. */
  fail(code: Extract<ErrorCode, "forbidden" | "fetch_failed">, why: string): Error;
}

/**
 * Sends one request, on a connection of its own. Resolves at the head of the answer, a redirect's
 * too.
 *
 * @throws what `fail` makes; the error of the connection; the signal's reason.
 */
export async function sendChecked(
  url: URL,
  { rules, resolve, fail, body, ...options }: CheckedRequest,
): Promise<IncomingMessage> {
  const found = await checkedAddresses(url.hostname, {
    listed: rules.addresses,
    resolve,
    signal: options.signal,
    fail: (why) =>
      why === "unknown"
        ? fail("fetch_failed", "its name is not known")
        : fail(
            "forbidden",
            "expected a public address, or one that the pool's operator allows in its option " +
              "`fetchAddresses`; it has another one",
          ),
  });
  const asked = (url.protocol === "https:" ? secureRequest : request)(url, {
    ...options,
    agent: false,
    lookup: lookupOf(found),
  });
  asked.on("timeout", () => asked.destroy(new Error(`nothing came for ${options.timeout} ms`)));
  const answered = once(asked, "response");
  asked.end(body);
  const [answer] = (await answered) as [IncomingMessage];
  // The connection may break while nothing is read from it, which is no fault by then.
  asked.on("error", () => {});
  answer.on("error", () => {});
  return answer;
}
