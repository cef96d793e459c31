/** The form of answer that a caller accepts. */
import type { Context } from "hono";
import { parseAccept } from "hono/utils/accept";
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
 * The form that the request's `Accept` header names. Default: the first of the forms.
 *
 * @param forms the forms that the operation has.
 * @throws {PoolError} `not_acceptable` when the caller accepts none of them; `invalid_request` for
 *   raw bytes over HTTP/1.0.
 */
export function acceptOf(c: Context, forms: readonly Form[]): Form {
  const accept = c.req.header("accept")?.toLowerCase() || "*/*";
  const form = formIn(accept, forms);
  if (!form)
    throw PoolError.of(
      "not_acceptable",
      `expected Accept: ${forms.map((each) => MEDIA_TYPES[each]).join(" or ")}; ` +
        `got ${accept.slice(0, 255)}`,
    );
  if (form === "raw" && c.env.outgoing && !hasEnd(c.env.outgoing))
    throw PoolError.of(
      "invalid_request",
      `expected HTTP/1.1 or HTTP/2 for ${MEDIA_TYPES.raw}; got a request of HTTP/1.0, ` +
        "which knows no trailers",
    );
  return form;
}

function formIn(accept: string, forms: readonly Form[]): Form | undefined {
  const accepted = parseAccept(accept).filter(({ q }) => q > 0);
  const types = new Set(accepted.map(({ type }) => type));
  const named = (["stream", "raw", "json"] as const).find(
    (form) => forms.includes(form) && types.has(MEDIA_TYPES[form]),
  );
  if (named) return named;
  if (types.has("application/*"))
    return (["json", "raw"] as const).find((form) => forms.includes(form));
  if (types.has("text/*") && forms.includes("stream")) return "stream";
  // Some generated clients name the type of problems where it is the one JSON type of an operation.
  return types.has("*/*") || types.has("application/problem+json") ? forms[0] : undefined;
}
