/** JWTs of an identity provider, checked against the keys that it publishes (JWKS). */
import { verifyWithJwks } from "hono/jwt";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { PoolNameSchema } from "../../openapi/names.ts";
import { isLoopback } from "./browser-guard.ts";
import { Caller, SCOPES } from "./caller.ts";

export interface JwksOptions {
  /** Where the keys are: https, or http on loopback. */
  readonly url: string;
  /** `iss` that a token must have. */
  readonly issuer: string;
  /** `aud` that a token must have, alone or among others. */
  readonly audience: string;
}

/** Signatures that only the issuer can make; what is shared with members (HS256) or absent (none) proves nothing. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;
const FETCH_TIMEOUT_MS = 5_000;
const MAX_JWKS_BYTES = 1024 * 1024;
/** Keys are fetched anew in the background when they are older, and not used when they are older than {@link MAX_AGE_MS}. */
const FRESH_MS = 5 * 60_000;
const MAX_AGE_MS = 60 * 60_000;
/** An unknown key, or a fetch that failed, leads to another fetch at most so often. */
export const REFETCH_MS = 10_000;

type Keys = NonNullable<Parameters<typeof verifyWithJwks>[1]["keys"]>;

export class Jwks {
  readonly #options: JwksOptions;
  readonly #log: (message: string) => void;
  readonly #refetchMs: number;
  #keys: Keys = [];
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;

  /** @throws {PoolError} `invalid_request` for a URL that anybody could answer. */
  constructor(options: JwksOptions, log: (message: string) => void, refetchMs = REFETCH_MS) {
    const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
    if (url?.protocol !== "https:" && !(url?.protocol === "http:" && isLoopback(url.hostname)))
      throw PoolError.of(
        "invalid_request",
        `expected the JWKS at an https URL, or http on loopback; got ${JSON.stringify(options.url)}`,
      );
    this.#options = options;
    this.#log = log;
    this.#refetchMs = refetchMs;
  }

  /** The caller that a token names. @throws {PoolError} `unauthorized`, also while no keys can be had. */
  async callerOf(token: string): Promise<Caller> {
    const keys = await this.#keysFor(kidOf(token));
    if (keys.length === 0)
      throw PoolError.of(
        "unauthorized",
        "the token cannot be checked now: the issuer's keys cannot be fetched",
      );
    let claims: Record<string, unknown>;
    try {
      claims = await verifyWithJwks(token, {
        keys,
        allowedAlgorithms: ALGORITHMS,
        // A clock that is a second ahead is no forgery.
        verification: {
          iss: this.#options.issuer,
          aud: this.#options.audience,
          exp: true,
          nbf: true,
          iat: false,
        },
      });
    } catch (error) {
      // The library's messages carry the token.
      throw PoolError.of(
        "unauthorized",
        REASONS[(error as Error).name] ?? "the token is not valid",
      );
    }
    return callerOf(claims);
  }

  async #keysFor(kid: string): Promise<Keys> {
    const age = performance.now() - this.#fetchedAt;
    if (age > MAX_AGE_MS) this.#keys = [];
    if (!this.#keys.some((key) => key.kid === kid)) await this.#fetch();
    else if (age > FRESH_MS) void this.#fetch();
    return this.#keys;
  }

  #fetch(): Promise<void> {
    if (!this.#fetching && performance.now() - this.#triedAt < this.#refetchMs)
      return Promise.resolve();
    this.#fetching ??= this.#fetchNow().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchNow(): Promise<void> {
    this.#triedAt = performance.now();
    try {
      const response = await fetch(this.#options.url, {
        headers: { accept: "application/json" },
        redirect: "error",
        signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
      });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of response.body ?? []) {
        bytes += chunk.length;
        if (bytes > MAX_JWKS_BYTES) throw new Error(`expected at most ${MAX_JWKS_BYTES} bytes`);
        chunks.push(chunk);
      }
      const { keys } = JSON.parse(Buffer.concat(chunks).toString()) as { keys?: Keys };
      if (!Array.isArray(keys)) throw new Error("expected a JSON object with keys");
      this.#keys = keys.filter(
        (key) => typeof key?.kid === "string" && (key as { use?: unknown }).use !== "enc",
      );
      this.#fetchedAt = performance.now();
    } catch (error) {
      this.#log(
        `JWKS ${this.#options.url}: ${messageOf(error)}${this.#keys.length > 0 ? "; the keys before stay" : ""}`,
      );
    }
  }
}

const REASONS: Readonly<Record<string, string>> = {
  JwtTokenExpired: "the token has expired",
  JwtTokenNotBefore: "the token is not valid yet",
  JwtTokenIssuer: "the token is of another issuer",
  JwtTokenAudience: "the token is for another audience",
  JwtPayloadRequiresAud: "the token is for no audience",
};

/** The key that a token says it is signed with. */
function kidOf(token: string): string {
  try {
    const header = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as {
      kid?: unknown;
    };
    if (typeof header.kid === "string") return header.kid;
  } catch {
    // As if it named none.
  }
  throw PoolError.of("unauthorized", "the token is not a JWT that names its key");
}

function callerOf({ sub, exp, scope, pools }: Record<string, unknown>): Caller {
  if (typeof sub !== "string" || sub === "" || sub.length > 255)
    throw PoolError.of("unauthorized", "expected the token to have sub");
  if (typeof exp !== "number") throw PoolError.of("unauthorized", "expected the token to have exp");
  // An issuer has scopes of other services too.
  const words = typeof scope === "string" ? scope.split(" ") : [];
  const names = Array.isArray(pools)
    ? pools.filter((pool): pool is string => PoolNameSchema.safeParse(pool).success)
    : [];
  return new Caller(`jwt:${sub}`, {
    scopes: new Set(SCOPES.filter((known) => words.includes(known))),
    pools: pools === "*" ? "*" : new Set(names),
  });
}
