/**
 * The entry `./node`: the portable entry, and what only Node has. It finds members through Consul,
 * shows certificates, reads local files, and bundles functions.
 */
import { Readable } from "node:stream";
import { PoolError } from "../../openapi/errors.ts";
import type { CommandResult as AnyCommandResult, CallOptions } from "./call-spec.ts";
import type {
  CommandRun as AnyCommandRun,
  FunctionRun as AnyFunctionRun,
} from "./calls/results.ts";
import type { Child as AnyChild, Ending as AnyEnding } from "./child.ts";
import { Connection, type Credentials, clientFor, gatewayAt } from "./connection.ts";
import { outputBytes as anyBytes } from "./http/output.ts";
import type { ConsulOptions } from "./node/consul/consul-options.ts";
import { LazyMembers } from "./node/consul/lazy-members.ts";
import { localFiles } from "./node/local-files.ts";
import { MEMBER_DOMAIN, NodeTransport, type TlsIdentity } from "./node/transport.ts";
import { DirectAccess } from "./placement/direct-access.ts";
import { DistributedPool as AnyPool } from "./pool.ts";
import { TrustedMembers } from "./trust/trusted-members.ts";

export { bundle } from "./node/bundle.ts";
export { type ConsulOptions, consulOptionsFrom } from "./node/consul/consul-options.ts";
export type { TlsIdentity } from "./node/transport.ts";
export * from "./shared.ts";

/** The way to the pools: a member that acts as the gateway, or Consul. */
type Address =
  | { readonly url: string; readonly consul?: never }
  | { readonly consul: string | ConsulOptions; readonly url?: never };

/** How a member that Consul lists shows who it is. */
interface MemberTrust {
  /**
   * With `consul`: a member NAME that serves https has to show a certificate for `NAME.DOMAIN`.
   * Default `distributed-pool`.
   */
  readonly memberDomain?: string | undefined;
}

/** The way to the pools, and who is calling. */
export type DistributedPoolOptions = Address & Credentials & TlsIdentity & MemberTrust;

/** A handle on a child, whose files are Node streams. */
export type Child = AnyChild<Readable>;
/** How a child ended by itself. */
export type Ending = AnyEnding<Readable>;
/** How a command ended. */
export type CommandResult = AnyCommandResult<Readable>;
/** How a command ended, with its output. */
export type CommandRun = AnyCommandRun<Readable>;
/** How a function ended, with its value and its output. */
export type FunctionRun<R> = AnyFunctionRun<R, Readable>;

/**
 * Pools of machines, found through any one member or through Consul.
 *
 * @example
 * const pools = new DistributedPool({ url: "http://127.0.0.1:7400" });
 * const sum = await pools.call("pipeline", (a: number, b: number) => a + b, 1211, 1);
 * await pools.close();
 */
export class DistributedPool extends AnyPool<Readable> {
  /**
   * Opens no connection; the first request does.
   *
   * @param options exactly one of `url` and `consul`. `url` is that of one member, which places and
   *   forwards. `consul` is an address or {@link ConsulOptions}: this process watches Consul and
   *   asks the members itself, which saves one hop. `token` says who calls (default: no token).
   *   `ca`, `cert` and `key` are for https, as PEM text or bytes (default: the well-known
   *   authorities, no client certificate). With one of the three, `consul` asks only members that
   *   serve https. A token goes over http only to loopback, unless `insecure` is true.
   * @param defaults as for {@link DistributedPool.with}. Default: none.
   * @throws {PoolError} `invalid_request` for neither or both of the two, a malformed address or
   *   token, or certificates that make no sense.
   * @example
   * const pools = new DistributedPool({ consul: consulOptionsFrom(process.env), token });
   */
  constructor(options: DistributedPoolOptions, defaults: CallOptions = {}) {
    super(connect(options), defaults);
  }
}

function connect(options: DistributedPoolOptions): Connection<Readable> {
  const { url, consul } = options ?? {};
  if ((url === undefined) === (consul === undefined))
    throw PoolError.of("invalid_request", "expected exactly one of url, consul");
  const { memberDomain = MEMBER_DOMAIN } = options;
  const transport = new NodeTransport(options, consul === undefined ? undefined : memberDomain);
  const client = clientFor(transport, options);
  const access =
    consul === undefined
      ? gatewayAt(url, client, options)
      : new DirectAccess<never>(client, membersOf(consul, options));
  const streamOf = (bytes: AsyncIterable<Uint8Array>) =>
    Readable.from(bytes, { objectMode: false });
  return new Connection(client, access, { localFiles, streamOf });
}

/** The members in Consul that are safe to ask for this caller. */
function membersOf(
  consul: string | ConsulOptions,
  { token, insecure, ca, cert, key }: Credentials & TlsIdentity,
): TrustedMembers {
  const members = new LazyMembers(typeof consul === "string" ? { address: consul } : consul);
  return new TrustedMembers(members, {
    httpsOnly: [ca, cert, key].some((part) => part !== undefined),
    insecure: insecure === true || token === undefined,
  });
}

/**
 * The bytes of a `stdout` or `stderr` event, whichever encoding it has.
 *
 * @example
 * for await (const event of pools.stream("pipeline", { command: ["date"] }))
 *   if (event.type === "stdout") process.stdout.write(outputBytes(event));
 */
export function outputBytes(event: Parameters<typeof anyBytes>[0]): Buffer {
  const { buffer, byteOffset, byteLength } = anyBytes(event);
  return Buffer.from(buffer, byteOffset, byteLength);
}
