/** The errors of transports: what they say, and whether the request was sent. */
import { PoolError, type Problem } from "../../../openapi/errors.ts";
import type { Answer } from "./transport.ts";

const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ERR_CONNECT_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  // Bun's name for it.
  "ConnectionRefused",
]);

/** Certificates that the client does not accept. The handshake ends before a request is sent. */
const UNTRUSTED = new RegExp(
  "^(CERT_|UNABLE_TO_(VERIFY|GET)_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_)|" +
    "invalid peer certificate",
);
/** A member without TLS answered the handshake. */
const NO_TLS = "ERR_SSL_WRONG_VERSION_NUMBER";
/** Node has it only in the message of its EPROTO. */
const NO_TLS_MESSAGE = /SSL routines:.*wrong version number/;
/** Other errors of a handshake. */
const HANDSHAKE = new RegExp(`^(UNABLE_TO_|ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED$|${NO_TLS}$)`);
/** Deno has no codes. Its message tells the step that failed. */
const DENO_CONNECT = /client error \(Connect\)/;

/** Whether the request certainly never reached the member, because no connection was made. */
export function neverSent(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(neverSent);
  const { code = "", message = "" } = (error ?? {}) as { code?: unknown; message?: unknown };
  return (
    NEVER_SENT.has(String(code)) ||
    HANDSHAKE.test(String(code)) ||
    UNTRUSTED.test(String(code)) ||
    DENO_CONNECT.test(String(message))
  );
}

/** The error as a person needs it. Fetch hides the fault in `cause`. */
export function explained(error: unknown): unknown {
  const { code, cause, message } = (error ?? {}) as { [key: string]: unknown };
  if (code === undefined && cause instanceof Error) return explained(cause);
  const say = (text: string, own: unknown) =>
    Object.assign(new Error(text, { cause: error }), { code: own });
  if (code === NO_TLS || NO_TLS_MESSAGE.test(String(message)))
    return say("the member does not speak https; its URL begins with http://", NO_TLS);
  if (!UNTRUSTED.test(String(code)) && !UNTRUSTED.test(String(message))) return error;
  return say(`the certificate is not trusted: ${message}`, code);
}

/** A redirect is not followed: it would carry the token to another server. */
export function redirected(url: string, answer: Answer): PoolError {
  const location = answer.headers.get("location") ?? "a place that the browser does not tell";
  answer.cancel();
  return PoolError.of(
    "invalid_request",
    `expected the URL of a member; ${new URL(url).origin} redirects to ${location}`,
  );
}

/** Whether the body of an answer is a problem of the contract. */
export function isProblem(body: unknown): body is Problem {
  const { type, title, status, detail, code } = (body ?? {}) as { [key: string]: unknown };
  return (
    [type, title, detail, code].every((each) => typeof each === "string") &&
    Number.isInteger(status)
  );
}
