/** How to reach a Consul agent: options, and Consul's own variables. */
import { readFileSync } from "node:fs";
import { PoolError } from "../../../../openapi/errors.ts";

/** How to reach a Consul agent. Only the address is required. */
export interface ConsulOptions {
  /** `http://127.0.0.1:8500`, `https://…`, or `host:port`, which is http. */
  readonly address: string;
  /** An ACL token that may read the service; a member's token may write it too. Default: none. */
  readonly token?: string | undefined;
  /** `user:password` for HTTP basic authentication. Default: none. */
  readonly auth?: string | undefined;
  /** Path of a PEM file: the authority to trust. Default: the well-known authorities. */
  readonly caFile?: string | undefined;
  /** Path of a PEM file: the client certificate that the agent is shown. Default: none. */
  readonly certFile?: string | undefined;
  /** Path of a PEM file: the key of the client certificate. */
  readonly keyFile?: string | undefined;
  /** The name that the agent's certificate must carry. Default: the host of the address. */
  readonly tlsServerName?: string | undefined;
  /** False accepts any certificate of the agent. Default true. */
  readonly verify?: boolean | undefined;
  /** A namespace of Consul Enterprise. Default: none. */
  readonly namespace?: string | undefined;
}

/** The words that the `consul` command takes for true. */
const TRUE = /^(?:1|t|T|true|TRUE|True)$/;

/**
 * Reads Consul's own variables, so that the pools are found where the `consul` command finds them:
 * `CONSUL_HTTP_ADDR`, `CONSUL_HTTP_SSL`, `CONSUL_HTTP_SSL_VERIFY`, `CONSUL_HTTP_TOKEN`,
 * `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_AUTH`, `CONSUL_CACERT`, `CONSUL_CLIENT_CERT`,
 * `CONSUL_CLIENT_KEY`, `CONSUL_TLS_SERVER_NAME` and `CONSUL_NAMESPACE`. The file with the token
 * goes before the token itself, as it does there.
 *
 * @param env the variables, such as `process.env`.
 * @param address takes the place of `CONSUL_HTTP_ADDR`. Default without both: `127.0.0.1:8500`.
 * @throws the error of the file system when the file of `CONSUL_HTTP_TOKEN_FILE` cannot be read.
 * @example
 * const pools = new DistributedPool({ consul: consulOptionsFrom(process.env) });
 */
export function consulOptionsFrom(
  env: Readonly<Record<string, string | undefined>>,
  address: string = env.CONSUL_HTTP_ADDR || "127.0.0.1:8500",
): ConsulOptions {
  // The `consul` command takes an empty variable for none.
  const variable = (name: string) => env[`CONSUL_${name}`] || undefined;
  const tokenFile = variable("HTTP_TOKEN_FILE");
  const verify = variable("HTTP_SSL_VERIFY");
  const secure = TRUE.test(variable("HTTP_SSL") ?? "");
  return {
    address: address.includes("://") || !secure ? address : `https://${address}`,
    token: tokenFile ? readFileSync(tokenFile, "utf8").trim() : variable("HTTP_TOKEN"),
    auth: variable("HTTP_AUTH"),
    caFile: variable("CACERT"),
    certFile: variable("CLIENT_CERT"),
    keyFile: variable("CLIENT_KEY"),
    tlsServerName: variable("TLS_SERVER_NAME"),
    verify: verify === undefined ? undefined : TRUE.test(verify),
    namespace: variable("NAMESPACE"),
  };
}

/** @throws {PoolError} `invalid_request` for an address that is not an http or https one. */
export function addressOf({ address }: ConsulOptions) {
  const text = address.includes("://") ? address : `http://${address}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url;
  const problem = url
    ? `expected an http or https address of Consul; got ${address}`
    : `expected Consul's address as http://HOST:PORT or HOST:PORT; got "${address}"`;
  throw PoolError.of("invalid_request", problem);
}
