/** Generated from the tables of options by `npm run docs`. */

/** The options of a member that flags can say. */
export interface TableOptions {
  /** Port to listen on; 0 for a free one. `dev` takes this and the ones after it. Default 7400. */
  readonly port?: number | undefined;
  /**
   * `auto` refuses to start where the sandbox does not hold in full; `no-cgroup` does without
   * limits on whole children; `off` runs them as plain processes, on loopback only. Default
   * "auto".
   */
  readonly sandbox?: "auto" | "no-cgroup" | "off" | undefined;
  /**
   * A folder of modules that callers may run by name: each NAME.js, .mjs, .ts, .mts or .py in
   * it is the task NAME. Read once, at the start.
   */
  readonly tasks?: string | undefined;
  /**
   * Milliseconds for which children may run on after TERM, INT or POST /drain, while the
   * member admits nothing more. A reload takes it. Default 30000.
   */
  readonly drainMs?: number | undefined;
  /** Milliseconds between TERM and KILL. A reload takes it. Default 5000. */
  readonly graceMs?: number | undefined;
  /**
   * Milliseconds for which the member remembers a child after its end, with its events and
   * artifacts; at most the last 100 of each pool. A reload takes it. Default 60000.
   */
  readonly rememberMs?: number | undefined;
  /**
   * Milliseconds for which an idempotency key names the child that it has started. Consul
   * keeps about 450 bytes for each key until then. A reload takes it. Default 3600000.
   */
  readonly idempotencyMs?: number | undefined;
  /**
   * Deadline in milliseconds of calls that name none, in pools without a `deadlineMs`. A
   * reload takes it. Default 300000.
   */
  readonly deadlineMs?: number | undefined;
  /**
   * Milliseconds without touch with Consul after which a member kills its children and admits
   * none until it is registered again; 0 for never, or 10000 and more. A reload takes it.
   * Default 0.
   */
  readonly fenceMs?: number | undefined;
  /**
   * The tokens that callers have to show, as `dpool token` prints them; read again when it
   * changes.
   */
  readonly tokenFile?: string | undefined;
  /**
   * The key that signs the notifications of children's endings: whsec_ and 24 to 64 bytes as
   * base64. Read once, at the start.
   */
  readonly notifySecretFile?: string | undefined;
  /**
   * Largest request body, or child spec in a multipart one. Multipart bodies and a child's
   * input have limits of their own. A reload takes it. Default 16777216.
   */
  readonly maxBodyBytes?: number | undefined;
  /**
   * Largest multipart body, or input of a placed child that comes with it. The member keeps at
   * most four times as much at a time, on disk. A reload takes it. Default 1073741824.
   */
  readonly maxUploadBytes?: number | undefined;
  /**
   * Bytes of memory that all requests hold; half of it for one caller with a token. A reload
   * takes it.
   */
  readonly maxHeldBytes?: number | undefined;
  /**
   * Bytes of functions' sources that are kept for callers who name them by their hashes.
   * Default 67108864.
   */
  readonly sourceCacheBytes?: number | undefined;
  /**
   * Milliseconds in which a request has to arrive, its body included, and an upload has to
   * make progress. A child's input may take its time. A reload takes it. Default 60000.
   */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * Requests a second from each token, or from each address where there are no tokens; twice
   * as many at once. A reload takes it. Default 1000.
   */
  readonly maxRate?: number | undefined;
  /**
   * Children and held slots of one caller at a time, in all pools of this member; 0 for no
   * bound. A token's maxChildren replaces it. A reload takes it. Default 0.
   */
  readonly maxChildrenPerCaller?: number | undefined;
  /**
   * Streams, and waits for results, open at a time for each token, or address. A reload takes
   * it. Default 1000.
   */
  readonly maxStreams?: number | undefined;
  /**
   * Connections open at a time; when all are taken, a new one replaces an idle one. A reload
   * takes it.
   */
  readonly maxConnections?: number | undefined;
  /**
   * An origin whose web pages may call from a browser, such as https://app.example.org; http
   * only on loopback. Each is named in full: there are no patterns. Repeatable. A reload takes
   * it.
   */
  readonly corsOrigins?: readonly string[] | undefined;
  /**
   * Address to listen on. Anything but loopback requires --token-file, --jwks-url or
   * --insecure. Default "127.0.0.1".
   */
  readonly host?: string | undefined;
  /**
   * The origin at which callers reach the members through a proxy, such as
   * https://pool.example.org. Answers name it in their links, and pages of it may call.
   */
  readonly publicUrl?: string | undefined;
  /**
   * Milliseconds between two signs of life in a silent answer: comments of a stream, white
   * space of JSON. Choose fewer where a proxy cuts sooner. A reload takes it. Default 10000.
   */
  readonly heartbeatMs?: number | undefined;
  /** Where other machines reach this member. */
  readonly advertise?: string | undefined;
  /** This member's name, unique among the members. */
  readonly name?: string | undefined;
  /**
   * Listen beyond loopback although callers need not show who they are, and send callers'
   * tokens to other members in clear where those serve http.
   */
  readonly insecure?: boolean | undefined;
}

/** The options of a pool: `maxChildren`, limits and grants. A reload takes every one. */
export interface PoolOptions {
  /** Children at a time, at most. */
  readonly maxChildren: number;
  /** Callers that may wait for a slot at a time; 0 for none. Default 1000. */
  readonly maxQueue?: number | undefined;
  /**
   * Children and held slots of one caller at a time in this pool, as a number or a percentage
   * of `maxChildren`. A token's `maxSlots` replaces it. Default: no bound.
   */
  readonly maxChildrenPerCaller?: number | string | undefined;
  /** Limits of each child. A caller can tighten them. */
  readonly limits?: PoolLimits | undefined;
  /** Paths of the host that children see, read-only: `HOSTPATH` or `HOSTPATH:PATH`. */
  readonly readOnly?: readonly string[] | undefined;
  /** Variables of every child; a caller's own variable does not replace one. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * Tell runtimes the limits by GOMAXPROCS, GOMEMLIMIT, NODE_OPTIONS and OMP_NUM_THREADS, and
   * without a control group by JAVA_TOOL_OPTIONS; `env` and a caller's variables replace each.
   * Default true.
   */
  readonly limitVariables?: boolean | undefined;
  /**
   * `host` is the machine's own network, its loopback included. `{allow:
   * ["files.example:443"]}` is the member's proxy to these names and ports. Default "none".
   */
  readonly network?: "none" | "host" | PoolNetwork | undefined;
  /** Device files below `/dev`, such as `/dev/dri/renderD128`. */
  readonly devices?: readonly string[] | undefined;
  /**
   * The only programs that callers may name; callers then run no functions and set no
   * variables.
   */
  readonly commands?: readonly string[] | undefined;
  /**
   * Beginnings of the URLs from which a member fetches files, such as
   * `https://assets.example.com/public/`; `*.` stands for every name below a host.
   */
  readonly fetch?: readonly string[] | undefined;
  /**
   * Addresses from which it fetches, and which it notifies, beside the public ones, such as
   * `10.0.0.0/8`.
   */
  readonly fetchAddresses?: readonly string[] | undefined;
  /**
   * Beginnings of the URLs that callers may have notified of their children's endings, written
   * like `fetch`; with `notifySecretFile` of the member.
   */
  readonly notify?: readonly string[] | undefined;
  /**
   * Deadline in milliseconds of calls and placed children that name none. Default: the
   * member's for calls, `limits.deadlineMs` or none for placed children.
   */
  readonly deadlineMs?: number | undefined;
  /** A folder that replaces the host's `/usr`; it needs a `/bin/sh`. */
  readonly root?: string | undefined;
  /**
   * Processes that start beforehand and wait for one call each: a number for `node`, or
   * numbers by runtime, such as `{node: 2, python: 1}`; and by `command` sandboxes for
   * commands, 2 by default.
   */
  readonly warm?: number | Readonly<Record<string, number>> | undefined;
  /**
   * Keep a process for further calls of the same caller and runtime. Weaker isolation: the
   * next call finds the globals and files that a call left, and its changes to the language's
   * own objects. A process is replaced after 1,000 calls, and when it holds half of its memory
   * limit after a call. `{maxUses: 100, maxMemoryShare: 0.25}` sets other bounds. Default
   * false.
   */
  readonly reuse?: boolean | PoolReuse | undefined;
  /**
   * Milliseconds without touch with Consul after which the member kills the pool's children
   * and admits none; 0 for never. Default: the member's `fenceMs`.
   */
  readonly fenceMs?: number | undefined;
}

/** The most that a child of a pool may use. */
export interface PoolLimits {
  /**
   * Memory of all processes of the child together in bytes, without swap. Its workspace and
   * temporary files count. A child that takes more is killed: `out_of_memory`. Default
   * 1073741824.
   */
  readonly memoryBytes?: number | undefined;
  /** Processes and threads at the same time. Node alone takes 11. Default 256. */
  readonly processes?: number | undefined;
  /** Share of the processors: 1.5 is one and a half processors. */
  readonly cpus?: number | undefined;
  /**
   * Milliseconds of processor time of all processes of the child together. A child that takes
   * more is stopped: `deadline_exceeded`.
   */
  readonly cpuMs?: number | undefined;
  /**
   * Bytes of the workspace. A file may be as large as it, or as `shmBytes` if that is more.
   * Default 536870912.
   */
  readonly workspaceBytes?: number | undefined;
  /**
   * Bytes of shared memory in `/dev/shm`, which count as the child's memory. Writing more
   * fails with ENOSPC, and ends a program that has mapped it with SIGBUS. Default: half of
   * `memoryBytes`.
   */
  readonly shmBytes?: number | undefined;
  /** Open file descriptors of each process. Default 1024. */
  readonly openFiles?: number | undefined;
  /**
   * Bytes of stdout and stderr together. A child that writes more is stopped:
   * `payload_too_large`. Default 10737418240.
   */
  readonly outputBytes?: number | undefined;
  /** Bytes of all artifacts together. Default 67108864. */
  readonly artifactBytes?: number | undefined;
  /** The longest `deadlineMs` in milliseconds that a caller may ask for. */
  readonly deadlineMs?: number | undefined;
}

/** When a process that is kept for further calls is replaced. */
export interface PoolReuse {
  /** Calls after which a process is replaced. Default 1000. */
  readonly maxUses?: number | undefined;
  /** A process that holds more of its memory limit after a call is replaced. Default 0.5. */
  readonly maxMemoryShare?: number | undefined;
}

/** The names and ports that the children of a pool may reach. */
export interface PoolNetwork {
  /**
   * Names and ports that the proxy connects to, such as `files.example:443`; `*.` stands for
   * every name below a host.
   */
  readonly allow: readonly string[];
  /** Addresses that the names may have beside the public ones, such as `10.0.0.0/8`. */
  readonly addresses?: readonly string[] | undefined;
}
