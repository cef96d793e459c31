/** Identifies the caller of a request by its bearer token. */
import { LRUCache } from "lru-cache";
import { PoolError } from "../../openapi/errors.ts";
import type { Caller } from "./caller.ts";
import type { Jwks } from "./jwks.ts";
import { type JwksOptions, jwksUrl } from "./jwks-url.ts";
import type { Quotas } from "./quotas.ts";
import { type Log, TokenFile } from "./tokens.ts";

/** The quotas of the last 10,000 holders of JWTs are known. */
const MAX_HOLDERS = 10_000;

export interface AuthOptions {
  /** Path of a token file. */
  readonly tokenFile?: string | undefined;
  readonly jwks?: JwksOptions | undefined;
}

export class Auth {
  readonly #tokens: TokenFile | undefined;
  readonly #jwks: Promise<Jwks> | undefined;
  readonly #jwtQuotas = new LRUCache<string, Quotas>({ max: MAX_HOLDERS });

  /**
   * @throws {PoolError} `invalid_request` for a token file that makes no sense, or a URL as in
   * {@link jwksUrl}.
   */
  constructor({ tokenFile, jwks }: AuthOptions, log: Log) {
    if (jwks) jwksUrl(jwks);
    this.#tokens = tokenFile === undefined ? undefined : new TokenFile(tokenFile, log);
    // A member without a key set does without the memory of the library: 2 MB.
    this.#jwks =
      jwks &&
      import("./jwks.ts").then(({ Jwks }) => new Jwks(jwks, (message) => log("error", message)));
  }

  /**
   * @param authorization the header's value, as the client sent it.
   * @throws {PoolError} `unauthorized`.
   */
  async callerOf(authorization: string | undefined): Promise<Caller> {
    if (authorization === undefined)
      throw PoolError.of("unauthorized", "expected Authorization: Bearer and a token; got none");
    const token = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1];
    if (token === undefined)
      throw PoolError.of(
        "unauthorized",
        "expected Authorization: Bearer and a token; got another form",
      );
    const caller = this.#tokens?.callerOf(token);
    if (caller) return caller;
    if (!this.#jwks || token.split(".").length !== 3)
      throw PoolError.of("unauthorized", "the token is not known here");
    const holder = await (await this.#jwks).callerOf(token);
    this.#jwtQuotas.set(holder.name, holder.quotas);
    return holder;
  }

  /** The quotas of a caller: those that the token file has now, or those of its last JWT. */
  quotasOf(name: string): Quotas {
    return this.#tokens?.quotasOf(name) ?? this.#jwtQuotas.get(name) ?? {};
  }

  /** Calls back after each change of the token file. */
  onChange(changed: () => void): void {
    if (this.#tokens) this.#tokens.onChange = changed;
  }

  /** Stops watching the token file. */
  close(): void {
    this.#tokens?.close();
  }
}

/** Opens what the options name; undefined where they name neither a token file nor a key set. */
export function openAuth(options: AuthOptions, log: Log): Auth | undefined {
  const named = options.tokenFile ?? options.jwks;
  // An empty path is a mistake to report, and no wish for a member without tokens.
  return named === undefined ? undefined : new Auth(options, log);
}
