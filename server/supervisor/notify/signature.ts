/**
 * Signs notifications as Standard Webhooks 1.0 does (github.com/standard-webhooks), so that its
 * libraries, which exist for most languages, verify them.
 */
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { PoolError } from "../../../openapi/errors.ts";

/** 24 to 64 bytes: the range of the specification. */
const SECRET_BYTES = { min: 24, max: 64 };

/**
 * Reads a secret: `whsec_` and base64, on one line.
 *
 * @throws {PoolError} `invalid_request` for a file without one; the system's own error.
 */
export function readSecret(file: string): Buffer {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})\s*$/.exec(readFileSync(file, "utf8")) ?? [];
  const secret = Buffer.from(base64 ?? "", "base64");
  if (secret.length < SECRET_BYTES.min || secret.length > SECRET_BYTES.max)
    throw PoolError.of(
      "invalid_request",
      `expected whsec_ and ${SECRET_BYTES.min} to ${SECRET_BYTES.max} bytes as base64 in ${file}`,
    );
  return secret;
}

/** The headers of a notification. @param atMs a time of `Date.now()`. */
export function signedHeaders(
  secret: Buffer,
  { id, body, atMs }: { readonly id: string; readonly body: string; readonly atMs: number },
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(atMs / 1_000));
  const hmac = createHmac("sha256", secret).update(`${id}.${timestamp}.${body}`);
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${hmac.digest("base64")}`,
  };
}
