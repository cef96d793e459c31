/** The form of answer that a caller accepts. */
import type { Context } from "hono";
import { PoolError } from "../../openapi/errors.ts";
import { hasEnd } from "../http/response.ts";

const MEDIA_TYPES = {
  stream: "text/event-stream",
  raw: "application/octet-stream",
  json: "application/json",
} as const;

export type Form = keyof typeof MEDIA_TYPES;

/** The forms of a call. */
export const CALL_FORMS: readonly Form[] = ["stream", "json", "raw"];

/**
 * The form that the request's `Accept` header names. Default: the stream.
 *
 * @param forms the forms that the operation has, the stream among them.
 * @throws {PoolError} `invalid_request` when the caller accepts none of them.
 */
export function acceptOf(c: Context, forms: readonly Form[] = ["stream", "json"]): Form {
  const accept = c.req.header("accept")?.toLowerCase() ?? "*/*";
  const named = (["stream", "raw", "json"] as const).find(
    (form) => forms.includes(form) && accept.includes(MEDIA_TYPES[form]),
  );
  if (named === "raw" && c.env.outgoing && !hasEnd(c.env.outgoing))
    throw PoolError.of(
      "invalid_request",
      `expected HTTP/1.1 or HTTP/2 for ${MEDIA_TYPES.raw}; got a request of HTTP/1.0, ` +
        "which knows no trailers",
    );
  if (named) return named;
  if (forms.includes("json") && accept.includes("application/*")) return "json";
  if (accept.includes("*/*") || accept.includes("text/*")) return "stream";
  throw PoolError.of(
    "invalid_request",
    `expected Accept: ${forms.map((form) => MEDIA_TYPES[form]).join(" or ")}; got ${accept}`,
  );
}
