/** The connection to the pools that a `DistributedPool` shares with those made by its `with`. */
import { PoolError } from "../../openapi/errors.ts";
import { Client } from "./http/client.ts";
import type { TlsIdentity } from "./http/connections.ts";
import type { Access } from "./placement/access.ts";
import { type ConsulOptions, consulClient } from "./placement/consul/consul-client.ts";
import { ConsulMembers } from "./placement/consul/consul-members.ts";
import { DirectAccess } from "./placement/direct-access.ts";
import { GatewayAccess } from "./placement/gateway-access.ts";

/** The way to the pools: a member that acts as the gateway, or Consul. */
type Address =
  | { readonly url: string; readonly consul?: never }
  | { readonly consul: string | ConsulOptions; readonly url?: never };

/** The way to the pools, and who is calling. */
export type DistributedPoolOptions = Address &
  TlsIdentity & {
    /**
     * Sent to members as `Authorization: Bearer`: a token of their token file, or a JWT. Default:
     * no token.
     */
    readonly token?: string | undefined;
  };

export class Connection {
  readonly client: Client;
  readonly access: Access;

  /** @throws {PoolError} `invalid_request` for options that make no sense. */
  constructor(options: DistributedPoolOptions) {
    const { url, consul, token } = options ?? {};
    if ((url === undefined) === (consul === undefined))
      throw PoolError.of("invalid_request", "expected exactly one of url, consul");
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
      throw PoolError.of(
        "invalid_request",
        "expected a token of printable characters without spaces",
      );
    this.client = new Client(options, token === undefined ? undefined : `Bearer ${token}`);
    this.access =
      consul === undefined
        ? new GatewayAccess(this.client, url)
        : new DirectAccess<never>(
            this.client,
            new ConsulMembers(
              consulClient(typeof consul === "string" ? { address: consul } : consul),
            ),
          );
  }
}
