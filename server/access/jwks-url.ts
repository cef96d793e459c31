/** The key set of an identity provider, as an operator names it. */
import { PoolError } from "../../openapi/errors.ts";
import { isLoopback } from "../../sdk/typescript/trust/loopback.ts";

export interface JwksOptions {
  /** URL of the key set: https, or http on loopback. */
  readonly url: string;
  /** The `iss` that each token must have. */
  readonly issuer: string;
  /** The `aud` that each token must have, alone or among others. */
  readonly audience: string;
}

/**
 * The URL of the key set.
 *
 * @throws {PoolError} `invalid_request` for a URL whose answer an attacker on the network could
 *   forge.
 */
export function jwksUrl(options: JwksOptions): URL {
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
  if (
    !url ||
    !(url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)))
  )
    throw PoolError.of(
      "invalid_request",
      "expected the JWKS at an https URL, or http on loopback; " +
        `got ${JSON.stringify(options.url)}`,
    );
  return url;
}
