/** A client of a Consul agent. No other file imports the package `consul`. */
import { readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import Consul from "consul";
import { PoolError } from "../../../../openapi/errors.ts";
import type { ConsulOptions } from "./consul-options.ts";

export type ConsulClient = Consul;

/** @throws {PoolError} `invalid_request` for an address that is not an http or https one. */
export function consulClient(options: ConsulOptions): ConsulClient {
  const url = addressOf(options);
  const secure = url.protocol === "https:";
  // The types of the client leave out `headers`, which is an option of its base class.
  const withHeaders = {
    host: url.hostname,
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    secure,
    agent: secure ? httpsAgent(options) : new HttpAgent({ keepAlive: true }),
    defaults: options.token === undefined ? {} : { token: options.token },
    headers: {
      ...(options.auth === undefined
        ? {}
        : { authorization: `Basic ${Buffer.from(options.auth).toString("base64")}` }),
      ...(options.namespace === undefined ? {} : { "x-consul-namespace": options.namespace }),
    },
  };
  return new Consul(withHeaders);
}

function addressOf({ address }: ConsulOptions): URL {
  const url = address.includes("://") ? address : `http://${address}`;
  if (!URL.canParse(url))
    throw PoolError.of(
      "invalid_request",
      "expected Consul's address as http://HOST:PORT or HOST:PORT; " +
        `got ${JSON.stringify(address)}`,
    );
  if (!/^https?:$/.test(new URL(url).protocol))
    throw PoolError.of(
      "invalid_request",
      `expected an http or https address of Consul; got ${address}`,
    );
  return new URL(url);
}

function httpsAgent(options: ConsulOptions): HttpsAgent {
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file));
  return new HttpsAgent({
    keepAlive: true,
    ca: read(options.caFile),
    cert: read(options.certFile),
    key: read(options.keyFile),
    ...(options.tlsServerName ? { servername: options.tlsServerName } : {}),
    rejectUnauthorized: options.verify !== false,
  });
}
