/** How to reach a Consul agent. No other file imports the package `consul`. */
import { readFileSync } from "node:fs";
import Consul from "consul";
import { httpModule, httpsModule } from "../http-modules.ts";
import { addressOf, type ConsulOptions } from "./consul-options.ts";

export { type ConsulOptions, consulOptionsFrom } from "./consul-options.ts";

export type ConsulClient = Consul;

/** @throws {PoolError} `invalid_request` for an address that is not an http or https one. */
export function consulClient(options: ConsulOptions): ConsulClient {
  const { token, auth, namespace } = options;
  const url = addressOf(options);
  const secure = url.protocol === "https:";
  // The types of the client leave out `headers`, which is an option of its base class.
  const withHeaders = {
    host: url.hostname,
    port: Number(url.port || (secure ? 443 : 80)),
    secure,
    agent: secure ? httpsAgent(options) : new (httpModule().Agent)({ keepAlive: true }),
    defaults: token === undefined ? {} : { token },
    headers: {
      ...(auth && { authorization: `Basic ${Buffer.from(auth).toString("base64")}` }),
      ...(namespace && { "x-consul-namespace": namespace }),
    },
  };
  return new Consul(withHeaders);
}

/** The requests of the client's base class, which its types leave out. */
interface Requests {
  readonly _defaults?: { readonly token?: string };
  _post(request: object): Promise<{ readonly body: unknown }>;
}

/** 2 seconds for the agent, which answers from its memory. */
const POST_TIMEOUT_MS = 2_000;

/**
 * Sends a request for which the client has no method.
 *
 * @param path without `/v1`.
 * @throws the error of the client, with a `statusCode` where Consul answered.
 */
export async function post<T>(consul: ConsulClient, path: string, body: unknown): Promise<T> {
  const requests = consul as unknown as Requests;
  const token = requests._defaults?.token;
  const headers = token === undefined ? {} : { "x-consul-token": token };
  const request = { path, body, headers, type: "json", timeout: POST_TIMEOUT_MS };
  return (await requests._post(request)).body as T;
}

function httpsAgent(options: ConsulOptions) {
  const read = (file: string | undefined) => file && readFileSync(file);
  return new (httpsModule().Agent)({
    keepAlive: true,
    ca: read(options.caFile),
    cert: read(options.certFile),
    key: read(options.keyFile),
    ...(options.tlsServerName && { servername: options.tlsServerName }),
    rejectUnauthorized: options.verify !== false,
  });
}
