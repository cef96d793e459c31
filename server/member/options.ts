/** What a member is started with, and what it is then: the options, their defaults, and what can be done with it. */
import type { ConsulOptions } from "../../sdk/typescript/placement/consul-members.ts";
import type { AuthOptions } from "../access/auth.ts";
import type { TlsOptions } from "../http/tls.ts";
import type { EmbeddedRegistry } from "../membership/embedded.ts";
import type { ConfiguredRuntimes } from "../runtimes/configured.ts";
import { DEFAULT_PATH } from "../sandbox/open-sandbox.ts";
import type { PoolOptions } from "./pool-options.ts";

export interface MemberOptions extends AuthOptions {
  /** Pools to serve, by name: `maxChildren`, or {@link PoolOptions} with limits and grants. */
  readonly pools: Readonly<Record<string, number | PoolOptions>>;
  /** The member's name, unique among the members. Default: the host's name and the port. */
  readonly name?: string | undefined;
  /** Address to listen on. Default `127.0.0.1`; another one than loopback wants a token file, JWTs, or `insecure`. */
  readonly host?: string | undefined;
  /** Port to listen on; 0 for a free one. Default 7400. */
  readonly port?: number | undefined;
  /** `HOST:PORT` under which others reach this member. Default: where it listens. */
  readonly advertise?: string | undefined;
  /** Join through this Consul agent. */
  readonly consul?: ConsulOptions | undefined;
  /** Join this registry of the same process. Default, without `consul`: one of its own. */
  readonly registry?: EmbeddedRegistry | undefined;
  /**
   * `auto` (default) refuses to start where the sandbox does not hold in full; `no-cgroup` does without limits on memory and
   * cpu of a whole child; `off` runs children as plain processes, on loopback only.
   */
  readonly sandbox?: "auto" | "no-cgroup" | "off" | undefined;
  /** Listen beyond loopback although nobody has to show who they are. Default false. */
  readonly insecure?: boolean | undefined;
  /** Milliseconds that children may go on for while the member drains. Default 30,000. */
  readonly drainMs?: number | undefined;
  /** Milliseconds between TERM and KILL. Default 5,000. */
  readonly graceMs?: number | undefined;
  /** Milliseconds for which a child that has ended is remembered, at most the last 100 of each pool. Default 60,000. */
  readonly rememberMs?: number | undefined;
  /** Deadline of a call that names none, in milliseconds. Default 300,000. */
  readonly deadlineMs?: number | undefined;
  /** Largest request body, or child spec in a multipart one. Default 16 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Largest multipart body, or input of a placed child that comes with it; four times as much is kept at a time, on disk. Default 1 GiB. */
  readonly maxUploadBytes?: number | undefined;
  /**
   * A folder of modules: each `NAME.js`, `.mjs`, `.ts`, `.mts` or `.py` directly in it is the task `NAME`. Children that run functions see
   * it, read-only, with its `node_modules`. Read once, at the start.
   */
  readonly tasks?: string | undefined;
  /** Bytes of sources that are kept for callers who name them by their hashes. Default 64 MiB. */
  readonly sourceCacheBytes?: number | undefined;
  /** Milliseconds that a request may take to arrive, its body included; an upload, to go on. A child's input may take its time. Default 60,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Requests a second from each token, or from each address where there are no tokens; twice as many at once. Default 1,000. */
  readonly maxRate?: number | undefined;
  /** Streams open at a time for each token, or address. Default 1,000. */
  readonly maxStreams?: number | undefined;
  /** Serve https, and ask the other members so. */
  readonly tls?: TlsOptions | undefined;
  /**
   * Programs that run functions beside `node`, `python` and `bun`, or in their place, by the name of the runtime:
   * `{ruby: {command: ["ruby", "{source}"]}}`. `{source}` becomes the path of the function's source; one line of JSON,
   * `{args, context}`, comes on descriptor 3, and one goes back there: `{"value": …}` or `{"error": {"name", "message"}}`.
   */
  readonly runtimes?: ConfiguredRuntimes | undefined;
  /** Where `bun` is looked for, and `PATH` of children without a sandbox. Default `/usr/local/bin:/usr/bin:/bin`. */
  readonly path?: string | undefined;
  /** Receives the log, a line at a time. Default: nothing. */
  readonly log?: ((level: "info" | "warn" | "error", message: string) => void) | undefined;
}

/** The defaults, in one place for the embedding and the command line. */
export const DEFAULTS = {
  host: "127.0.0.1",
  port: 7400,
  maxChildren: 5,
  drainMs: 30_000,
  graceMs: 5_000,
  rememberMs: 60_000,
  deadlineMs: 300_000,
  maxBodyBytes: 16 * 1024 * 1024,
  maxUploadBytes: 1024 * 1024 * 1024,
  sourceCacheBytes: 64 * 1024 * 1024,
  requestTimeoutMs: 60_000,
  maxRate: 1_000,
  maxStreams: 1_000,
  path: DEFAULT_PATH,
} as const;
/** What a reload has done. */
export interface Reloaded {
  /** What holds from now on, such as `graceMs`, `pools.pipeline.maxChildren`, or `pools.crawler` for one that has come or gone. */
  readonly changed: readonly string[];
  /** What keeps its value until a restart, such as `port`. */
  readonly restart: readonly string[];
}
