/** Connections to members: kept open between requests, and watched for peers that die. */
import { createSecureContext } from "node:tls";
import { Agent, buildConnector } from "undici";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import { HEARTBEAT_MS } from "../../../openapi/events.ts";
import { KEEP_ALIVE_DELAY_MS, watchPeer } from "./dead-peers.ts";

/** 2 seconds for a member to accept a connection; a slower one counts as away. */
const CONNECT_TIMEOUT_MS = 2_000;
/** A stream that is silent for a heartbeat and a half (15 seconds) is lost. */
const SILENCE_TIMEOUT_MS = HEARTBEAT_MS * 1.5;
/** 10 seconds, less than a member's own limit: no request goes out on a connection that closes. */
const IDLE_TIMEOUT_MS = 10_000;

/** Certificates for https, each as PEM text or bytes. */
export interface TlsIdentity {
  /** The authorities to trust. Default: the well-known ones. */
  readonly ca?: string | Buffer | undefined;
  /** The client certificate for members that ask for one; together with `key`. Default: none. */
  readonly cert?: string | Buffer | undefined;
  /** The key of the client certificate. */
  readonly key?: string | Buffer | undefined;
}

export class Connections {
  readonly agent: Agent;
  #connect: buildConnector.connector;

  /** @throws {PoolError} `invalid_request` for certificates that make no sense. */
  constructor(identity: TlsIdentity) {
    this.#connect = connectorFor(identity);
    this.agent = new Agent({
      connect: (options, callback) =>
        this.#connect(options, (...made) => {
          if (made[1]) watchPeer(made[1]);
          callback(...made);
        }),
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      keepAliveMaxTimeout: IDLE_TIMEOUT_MS,
      bodyTimeout: SILENCE_TIMEOUT_MS,
    });
  }

  /** Changes the certificates of later connections. @throws as the constructor does. */
  identify(identity: TlsIdentity): void {
    this.#connect = connectorFor(identity);
  }
}

function connectorFor({ ca, cert, key }: TlsIdentity): buildConnector.connector {
  if ((cert === undefined) !== (key === undefined))
    throw PoolError.of("invalid_request", "expected cert and key together; got one of them");
  try {
    createSecureContext({ ca, cert, key });
    return buildConnector({
      timeout: CONNECT_TIMEOUT_MS,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      ca,
      cert,
      key,
    });
  } catch (error) {
    throw PoolError.of("invalid_request", `expected ca, cert and key as PEM: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
