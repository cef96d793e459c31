/** The connection to the pools that a `DistributedPool` shares with those made by its `with`. */
import { PoolError } from "../../openapi/errors.ts";
import { type LocalFiles, noLocalFiles } from "./files.ts";
import { Client } from "./http/client.ts";
import { type Fetch, FetchTransport } from "./http/fetch-transport.ts";
import type { Transport } from "./http/transport.ts";
import type { Access } from "./placement/access.ts";
import { GatewayAccess } from "./placement/gateway-access.ts";
import { isReadable } from "./trust/loopback.ts";

/** Who is calling. */
export interface Credentials {
  /**
   * Sent to members as `Authorization: Bearer`: a token of their token file, or a JWT. Default: no
   * token.
   */
  readonly token?: string | undefined;
  /** Sends the token also over http beyond loopback, where others can read it. Default false. */
  readonly insecure?: boolean | undefined;
}

/** The way to the pools, and who is calling. */
export interface DistributedPoolOptions extends Credentials {
  /** The URL of a member, which acts as the gateway. */
  readonly url: string;
  /** Sends each request. Default: the platform's `fetch`. */
  readonly fetch?: Fetch | undefined;
}

/** The bytes of a file, as an entry of this package gives them to callers. */
type StreamOf<Stream> = (bytes: AsyncIterable<Uint8Array>) => Stream;

/** `Stream` is the kind of stream that callers get. */
export class Connection<Stream> {
  readonly client: Client;
  readonly access: Access;
  readonly localFiles: LocalFiles;
  readonly streamOf: StreamOf<Stream>;

  constructor(
    client: Client,
    access: Access,
    platform: { readonly localFiles: LocalFiles; readonly streamOf: StreamOf<Stream> },
  ) {
    this.client = client;
    this.access = access;
    this.localFiles = platform.localFiles;
    this.streamOf = platform.streamOf;
  }
}

/** @throws {PoolError} `invalid_request` for a token that no header can carry. */
export function clientFor(transport: Transport, { token }: Credentials): Client {
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw PoolError.of(
      "invalid_request",
      "expected a token of printable characters without spaces",
    );
  return new Client(transport, token === undefined ? undefined : `Bearer ${token}`);
}

/**
 * Access through the member at a URL.
 *
 * @throws {PoolError} `invalid_request` for another string, or a token that would go in clear.
 */
export function gatewayAt(url: string, client: Client, credentials: Credentials): GatewayAccess {
  const access = new GatewayAccess(client, url);
  const { token, insecure } = credentials;
  if (token !== undefined && !insecure && isReadable(url))
    throw PoolError.of(
      "invalid_request",
      "expected an https URL, or a loopback address, for a request with a token; " +
        `got ${new URL(url).origin}; insecure sends the token in clear`,
    );
  return access;
}

/** @throws {PoolError} `invalid_request` for options that make no sense. */
export function connectByFetch(
  options: DistributedPoolOptions,
): Connection<ReadableStream<Uint8Array>> {
  const { url, fetch } = options ?? {};
  if (typeof url !== "string" || "consul" in options)
    throw PoolError.of(
      "invalid_request",
      "expected a url; @distributed-pool/sdk/node also takes consul",
    );
  const client = clientFor(new FetchTransport(fetch), options);
  const platform = { localFiles: noLocalFiles, streamOf: webStreamOf };
  return new Connection(client, gatewayAt(url, client, options), platform);
}

/** Not every browser has `ReadableStream.from`. */
function webStreamOf(bytes: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const pieces = bytes[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return?.();
    },
  });
}
