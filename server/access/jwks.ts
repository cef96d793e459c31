/** Verifies JWTs of an identity provider against the key set (JWKS) that the provider publishes. */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeProtectedHeader,
  errors,
  type FetchImplementation,
  type JWTPayload,
  jwtVerify,
  type RemoteJWKSet,
} from "jose";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { PoolNameSchema } from "../../openapi/schemas/names.ts";
import { Caller, type Grant, SCOPES } from "./caller.ts";
import { type JwksOptions, jwksUrl } from "./jwks-url.ts";
import { QUOTA_NAMES, QuotasSchema } from "./quotas.ts";

/**
 * Only the issuer can make these signatures. HS256 is left out because its secret is shared with
 * every member, and an attacker may use the public key as that secret. `none` proves nothing.
 */
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
];
const FETCH_TIMEOUT_MS = 5_000;
const MAX_JWKS_BYTES = 1024 * 1024;
/** After 5 minutes the next token starts a fetch in the background; the keys stay in use. */
const FRESH_MS = 5 * 60_000;
/** After 1 hour without a successful fetch the keys are no longer used. */
const MAX_AGE_MS = 60 * 60_000;
/** An unknown key, or a fetch that failed, leads to another fetch at most every 10 seconds. */
const REFETCH_MS = 10_000;

export class Jwks {
  readonly #options: JwksOptions;
  readonly #log: (message: string) => void;
  readonly #refetchMs: number;
  readonly #keys: RemoteJWKSet;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param refetchMs milliseconds between two fetches. Default: {@link REFETCH_MS}.
   * @throws {PoolError} `invalid_request`, as {@link jwksUrl} does.
   */
  constructor(options: JwksOptions, log: (message: string) => void, refetchMs = REFETCH_MS) {
    const url = jwksUrl(options);
    this.#options = options;
    this.#log = log;
    this.#refetchMs = refetchMs;
    this.#keys = createRemoteJWKSet(url, {
      timeoutDuration: FETCH_TIMEOUT_MS,
      cacheMaxAge: MAX_AGE_MS,
      cooldownDuration: refetchMs,
      [customFetch]: (href, init) => this.#fetch(href, init),
    });
  }

  /**
   * Verifies a token and returns the caller that it names.
   *
   * @throws {PoolError} `unauthorized`, also while the key set cannot be fetched.
   */
  async callerOf(token: string): Promise<Caller> {
    expectKid(token);
    await this.#refresh();
    const { issuer, audience } = this.#options;
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ["sub", "exp"],
      });
      return callerOf(payload);
    } catch (error) {
      throw error instanceof PoolError ? error : PoolError.of("unauthorized", reasonOf(error));
    }
  }

  /** Waits for keys only where there are none to use. */
  async #refresh(): Promise<void> {
    if (performance.now() - this.#fetchedAt < FRESH_MS) return;
    // A fetch that fails has logged the reason.
    const reload = this.#keys.reload().catch(() => {});
    if (!this.#keys.fresh) await reload;
    if (!this.#keys.fresh)
      throw PoolError.of(
        "unauthorized",
        "the token cannot be checked now: the issuer's keys cannot be fetched",
      );
  }

  /**
   * Fetches the key set for the library. The library's own cool-down starts only after a success.
   */
  async #fetch(...[url, init]: Parameters<FetchImplementation>): Promise<Response> {
    if (performance.now() - this.#failedAt < this.#refetchMs)
      throw new Error("the last fetch failed a moment ago");
    try {
      // A redirect could lead from https to a URL that an attacker answers.
      const response = await fetch(url, { ...init, redirect: "error" });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const text = await boundedText(response);
      // Throws where the answer is not a key set.
      createLocalJWKSet(JSON.parse(text));
      this.#fetchedAt = performance.now();
      return new Response(text);
    } catch (error) {
      this.#failedAt = performance.now();
      const rest = this.#keys.fresh ? "; the keys before stay" : "";
      this.#log(`JWKS ${this.#options.url}: ${messageOf(error)}${rest}`);
      throw error;
    }
  }
}

async function boundedText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_JWKS_BYTES) throw new Error(`expected at most ${MAX_JWKS_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** The library would take a token without `kid` where one key of the set fits. */
function expectKid(token: string): void {
  try {
    if (typeof decodeProtectedHeader(token).kid === "string") return;
  } catch {
    // The header is not JSON, and so names no key either.
  }
  throw PoolError.of("unauthorized", "the token is not a JWT that names its key");
}

const REASONS: Readonly<Record<string, string>> = {
  "exp check_failed": "the token has expired",
  "nbf check_failed": "the token is not valid yet",
  "iss check_failed": "the token is of another issuer",
  "iss missing": "the token is of another issuer",
  "aud check_failed": "the token is for another audience",
  "aud missing": "the token is for no audience",
  "exp missing": "expected the token to have exp",
  "sub missing": "expected the token to have sub",
};

/** The reason of a refusal in our words: an error of the library may carry the token's claims. */
function reasonOf(error: unknown): string {
  const isClaim =
    error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired;
  return (isClaim && REASONS[`${error.claim} ${error.reason}`]) || "the token is not valid";
}

function callerOf({ sub, scope, pools, quotas }: JWTPayload): Caller {
  if (typeof sub !== "string" || sub === "" || sub.length > 255)
    throw PoolError.of("unauthorized", "expected the token to have sub");
  // An issuer also names scopes of other services.
  const words = typeof scope === "string" ? scope.split(" ") : [];
  const names = Array.isArray(pools)
    ? pools.filter((pool): pool is string => PoolNameSchema.safeParse(pool).success)
    : [];
  const limits = QuotasSchema.safeParse(quotas ?? {});
  if (!limits.success)
    throw PoolError.of(
      "unauthorized",
      `expected the token's quotas to be whole numbers by ${QUOTA_NAMES.join(", ")}`,
    );
  const grant: Grant = {
    scopes: new Set(SCOPES.filter((known) => words.includes(known))),
    pools: pools === "*" ? "*" : new Set(names),
  };
  return new Caller(`jwt:${sub}`, grant, limits.data);
}
