/** The public verbs: call, stream, placeChild, and what is there to see. */
import type { Readable, Writable } from "node:stream";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { isTerminal, type Progress } from "../../openapi/events.ts";
import type { ChildInfo, Count } from "../../openapi/resources.ts";
import type { ChildSpecInput } from "../../openapi/spec.ts";
import type { Bundle } from "./bundle.ts";
import { Child, type Ending, endingOf } from "./child.ts";
import { type SpecWithFiles, splitFiles, splitInput } from "./files.ts";
import { type ArgumentsOf, type PoolContext, type PoolFunction, sourceOf } from "./functions.ts";
import { Client, type TlsIdentity } from "./http/client.ts";
import { type NumberedEvent, outputBytes, requireWhole } from "./http/read-events.ts";
import { resumeEvents } from "./http/resume.ts";
import { sendStdin, watchSource } from "./http/send-stdin.ts";
import type { Access, PoolChildList, PoolInfo, PoolList } from "./placement/access.ts";
import { ConsulMembers, type ConsulOptions } from "./placement/consul-members.ts";
import { DirectAccess } from "./placement/direct-access.ts";
import { GatewayAccess } from "./placement/gateway-access.ts";
import type { Task } from "./tasks.ts";
import { type Encoding, encodeArguments, withValues } from "./values.ts";

/** Where the pools are: a member that acts as the gateway, or Consul. */
type Where =
  | { readonly url: string; readonly consul?: never }
  | { readonly consul: string | ConsulOptions; readonly url?: never };

/** Where the pools are, and who is calling. */
export type DistributedPoolOptions = Where &
  TlsIdentity & {
    /** Shown to members as `Authorization: Bearer`: a token of their token file, or a JWT. */
    readonly token?: string | undefined;
  };

/** What may be said of any call or child, beside what it runs. */
type SpecFields = Omit<SpecWithFiles, "command" | "function" | "task">;

/** What may be said of how values travel. */
interface ValueFields {
  /** How arguments and value are written. Default `json`. */
  readonly encoding?: Encoding;
}

/** Runs a program: argv, no shell. */
export interface CommandSpec extends SpecFields {
  readonly command: string[];
  readonly function?: never;
  readonly task?: never;
}

/** Source of a function, as it travels; `args` are values all the same. */
type FunctionSource = NonNullable<ChildSpecInput["function"]>;

/** Runs a function: one of this program's, a bundle, or source. */
export interface FunctionSpec extends SpecFields, ValueFields {
  readonly function: PoolFunction | Bundle | FunctionSource;
  /** Arguments, unless they stand beside the source. */
  readonly args?: unknown[];
  readonly command?: never;
  readonly task?: never;
}

/** Runs a task of the operator's. */
export interface TaskSpec extends SpecFields, ValueFields {
  readonly task: NonNullable<ChildSpecInput["task"]>;
  /** Arguments, unless they stand beside the name. */
  readonly args?: unknown[];
  readonly command?: never;
  readonly function?: never;
}

export type Spec = CommandSpec | FunctionSpec | TaskSpec;

/** Options of the caller's side, and defaults for the spec. */
export interface CallOptions extends SpecFields, ValueFields {
  /** Where the child's stdout goes. Default `process.stdout`; null to drop it. */
  readonly stdout?: Writable | null;
  /** Where the child's stderr goes. Default `process.stderr`; null to drop it. */
  readonly stderr?: Writable | null;
  /** Is told how far the child of a `call` has come, where it says so. What this throws ends the waiting. */
  readonly onProgress?: (progress: Progress) => void;
  /** Ends the waiting. The child lives on, unless it is linked. */
  readonly signal?: AbortSignal;
}

/** Which children to list. */
export interface ChildrenFilter {
  readonly labels?: Readonly<Record<string, string | true>>;
  readonly status?: ChildInfo["status"];
}

/** How a command ended. */
export type CommandResult = Ending & { readonly exitCode: number };

/** What a `DistributedPool` and those made from it by `with` share. */
class Connection {
  readonly client: Client;
  readonly access: Access;

  constructor(options: DistributedPoolOptions) {
    if ((options?.url === undefined) === (options?.consul === undefined)) {
      throw PoolError.of("invalid_request", "expected exactly one of url, consul");
    }
    const { token } = options;
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
      throw PoolError.of(
        "invalid_request",
        "expected a token of printable characters without spaces",
      );
    this.client = new Client(options, token === undefined ? undefined : `Bearer ${token}`);
    if (options.url !== undefined) this.access = new GatewayAccess(this.client, options.url);
    else
      this.access = new DirectAccess<never>(
        this.client,
        new ConsulMembers(
          typeof options.consul === "string" ? { address: options.consul } : options.consul,
        ),
      );
  }
}

/**
 * Pools of machines, found through Consul or through any one member.
 *
 * @example
 * const pools = new DistributedPool({ url: "http://127.0.0.1:7400" });
 * const sum = await pools.call("pipeline", (a: number, b: number) => a + b, 1211, 1);
 * await pools.close();
 */
export class DistributedPool {
  readonly #connection: Connection;
  readonly #defaults: CallOptions;

  /**
   * @param options `{url}` asks one member, which places and forwards; `{consul}` watches Consul and places from here,
   *   one hop less. `consul` is an address or {@link ConsulOptions}; see `consulOptionsFrom(process.env)`. `token` says who
   *   calls; `ca`, `cert` and `key` (PEM text or bytes) are for members that serve https: whom to trust, and a client certificate.
   * @throws {PoolError} `invalid_request` when neither or both are given, an address is malformed, or a certificate makes no sense.
   */
  constructor(options: DistributedPoolOptions | Connection, defaults: CallOptions = {}) {
    this.#connection = options instanceof Connection ? options : new Connection(options);
    this.#defaults = defaults;
  }

  /**
   * The same pools, with other defaults for what is called through it.
   *
   * @example
   * await pools.with({ deadlineMs: 1_000, stdout: null }).call("pipeline", work, 42);
   */
  with(defaults: CallOptions): DistributedPool {
    return new DistributedPool(this.#connection, { ...this.#defaults, ...defaults });
  }

  /**
   * Runs a function on the least loaded member of the pool and returns its value. Its output comes out here.
   *
   * The function travels as source: it sees its arguments and a {@link PoolContext} after them, nothing that it captured.
   * Arguments and value travel as JSON, or by `with({ encoding: "devalue" })`. The child lives on when this caller goes away, unless `link` is set.
   *
   * @throws {PoolError} by `code`: `function_threw` ({@link FunctionThrewError}, with the remote stack), `all_members_at_capacity`,
   *   `no_members_available`, `deadline_exceeded` (default 5 minutes), `cancelled`, `worker_crashed`, `member_lost`, `invalid_request`;
   *   `events_expired` when it ended well and output that somebody wants was lost on the way.
   * @example
   * await pools.call("pipeline", (name: string) => console.log(`${name} says hi`), "m1");
   */
  call<A extends unknown[], R>(
    pool: string,
    fn: (...args: [...A, PoolContext]) => R,
    ...args: A
  ): Promise<Awaited<R>>;
  /** The same, for a function that leaves the context alone. */
  call<A extends unknown[], R>(
    pool: string,
    fn: (...args: A) => R,
    ...args: A
  ): Promise<Awaited<R>>;
  /**
   * The same, for a function with its imports ({@link bundle}), or one that the operator installed ({@link task}).
   *
   * @throws {PoolError} as above; `task_not_found` when no member has the task.
   */
  call<F extends PoolFunction>(
    pool: string,
    work: Bundle<F> | Task<F>,
    ...args: ArgumentsOf<F>
  ): Promise<Awaited<ReturnType<F>>>;
  /**
   * Runs a command on the least loaded member of the pool. A non-zero exit code is a result, not an error.
   *
   * @throws {PoolError} as above, but for `function_threw`.
   * @example
   * const { exitCode } = await pools.call("pipeline", { command: ["uname", "-a"] });
   * await pools.call("pipeline", { command: ["sha256sum"], stdin: createReadStream("in.mp4") });
   */
  call(pool: string, spec: CommandSpec, options?: CallOptions): Promise<CommandResult>;
  /** Runs a function or a task, with a spec of its own. */
  call(pool: string, spec: FunctionSpec | TaskSpec, options?: CallOptions): Promise<unknown>;
  async call(
    pool: string,
    work: PoolFunction | Bundle | Task | Spec,
    ...rest: unknown[]
  ): Promise<unknown> {
    const [spec, options] = specOf(work, rest);
    const {
      stdout = process.stdout,
      stderr = process.stderr,
      onProgress,
    } = { ...this.#defaults, ...options };
    // Bytes, so that what is piped is what was written.
    const events = this.stream(pool, { outputEncoding: "base64", ...spec } as Spec, options);
    for await (const event of stdout === null && stderr === null ? events : requireWhole(events)) {
      if (event.type === "stdout") await write(stdout, outputBytes(event));
      else if (event.type === "stderr") await write(stderr, outputBytes(event));
      else if (event.type === "progress") {
        const { type: _, id: _id, ...progress } = event;
        onProgress?.(progress);
      } else if (isTerminal(event)) {
        const ending = endingOf(event);
        return spec.function === undefined && spec.task === undefined ? ending : ending.value;
      }
    }
    throw PoolError.of("member_lost", "the stream ended before its terminal event");
  }

  /**
   * Like {@link DistributedPool.call}, as the stream of events, `placed` first and exactly one terminal event last.
   * Leaving the loop closes the connection; the child lives on unless it is linked, or its `stdin` is a stream that has not ended.
   */
  async *stream(
    pool: string,
    spec: Spec,
    options: CallOptions = {},
  ): AsyncGenerator<NumberedEvent, void, undefined> {
    const { signal } = { ...this.#defaults, ...options };
    const { client, access } = this.#connection;
    const left = new AbortController();
    let failure: PoolError | undefined;
    let source: Readable | undefined;
    let ended = false;
    try {
      const positions = new Latest<number>();
      const split = await splitInput(this.#wire(spec, options));
      source = split.source;
      const input =
        source &&
        watchSource(source, (why) => {
          failure = PoolError.of(
            "cancelled",
            `stdin: ${messageOf(why)}; a child cannot go on without the rest of its input`,
            { cause: why },
          );
          left.abort();
        });
      const { spec: wired, parts } = await splitFiles(split.spec);
      const placing = {
        signal: signal ? AbortSignal.any([signal, left.signal]) : left.signal,
        onPosition: (position: number) => positions.push(position),
        parts,
      };
      const answer = access.call(pool, wired, placing).finally(() => positions.end());
      answer.catch(() => {});
      for await (const position of positions) yield { type: "queued", position };
      for await (const event of withValues(
        resumeEvents(await answer, { client, access, signal: placing.signal }),
      )) {
        if (event.type === "placed" && input)
          sendStdin(access.childUrl(event.child.id), input, client, () => ended).catch(
            (error: PoolError) => {
              failure ??= error;
            },
          );
        ended = isTerminal(event);
        // Without its input it was stopped.
        if (event.type === "failed" && event.problem.code === "cancelled" && failure) throw failure;
        yield event;
      }
    } catch (error) {
      throw failure ?? error;
    } finally {
      // Whoever leaves while it waits, waits no longer.
      left.abort();
      source?.destroy();
    }
  }

  /**
   * Places a child that lives on its own, with no deadline unless asked.
   *
   * @throws {PoolError} `all_members_at_capacity`, `no_members_available`, `invalid_request`, `member_lost`.
   */
  async placeChild(pool: string, spec: Spec, options: CallOptions = {}): Promise<Child> {
    const { signal } = { ...this.#defaults, ...options };
    const { spec: wired, parts } = await splitFiles(this.#wire(spec, options));
    const { id } = await this.#connection.access.placeChild(pool, wired, { signal, parts });
    return this.child(id);
  }

  /** A handle on a child by its id. Nothing is asked yet. */
  child(id: string): Child {
    return new Child(id, this.#connection.client, this.#connection.access);
  }

  /** The pools that have members. */
  pools(): Promise<PoolList> {
    return this.#connection.access.pools();
  }

  /** A pool's members and their load. @throws {PoolError} `pool_not_found`. */
  pool(pool: string): Promise<PoolInfo> {
    return this.#connection.access.pool(pool);
  }

  /**
   * A pool's children, over all its members; of those that have ended, the ones that are still remembered.
   *
   * @param filter only the children with this status, and with all of the labels: `true` for any value.
   * @throws {PoolError} `pool_not_found`.
   * @example
   * await pools.children("pipeline", { labels: { job: "nightly" }, status: "running" });
   */
  children(pool: string, filter: ChildrenFilter = {}): Promise<PoolChildList> {
    const labels = Object.entries(filter.labels ?? {}).map(([name, value]) =>
      value === true ? name : `${name}=${value}`,
    );
    return this.#connection.access.children(pool, { labels, status: filter.status });
  }

  /**
   * Lets the member that was given as `url` admit nothing more, finish what runs, leave its pools and end. Answers at once.
   *
   * @returns the member's name and what still runs on it, by pool.
   * @throws {PoolError} `invalid_request` where the pools are found through Consul: that names no one member.
   */
  drain(): Promise<Count> {
    return this.#connection.access.drain();
  }

  /** Closes the connections and stops watching. Calls under way end with `member_lost`. */
  async close(): Promise<void> {
    this.#connection.access.close();
    await this.#connection.client.close();
  }

  #wire(spec: Spec, options: CallOptions): SpecWithFiles {
    const {
      stdout: _out,
      stderr: _err,
      onProgress: _progress,
      signal: _signal,
      encoding: usual,
      ...defaults
    } = { ...this.#defaults, ...options };
    const {
      function: fn,
      task,
      args = [],
      encoding = usual ?? "json",
      ...fields
    } = spec as FunctionSpec | TaskSpec;
    const wired = <W extends FunctionSource | TaskSpec["task"]>(work: W): W => {
      const how = work.encoding ?? encoding;
      return { ...work, args: encodeArguments(work.args ?? args, how), encoding: how };
    };
    return {
      ...defaults,
      ...fields,
      ...(fn === undefined
        ? {}
        : { function: wired(typeof fn === "function" ? { source: sourceOf(fn) } : fn) }),
      ...(task === undefined ? {} : { task: wired(task) }),
    };
  }
}

/** What is run, and its options; arguments stand in their place where no spec is given. */
function specOf(
  work: PoolFunction | Bundle | Task | Spec,
  rest: unknown[],
): [spec: Spec, options: CallOptions] {
  if (typeof work === "function" || "hash" in work) return [{ function: work, args: rest }, {}];
  if (typeof work.task === "string") return [{ task: { name: work.task }, args: rest }, {}];
  return [work as Spec, (rest[0] ?? {}) as CallOptions];
}

/** What is pushed, as an iteration. It holds no more than a position at a time. */
class Latest<T> implements AsyncIterable<T> {
  #last: { readonly value: T } | undefined;
  #ended = false;
  #wake: () => void = () => {};

  /** Takes the place of what has not been read. */
  push(value: T): void {
    this.#last = { value };
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const last = this.#last;
      this.#last = undefined;
      if (last) yield last.value;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

/** Writes and waits until there is room again; a stream that has been closed takes nothing and holds up nothing. */
async function write(stream: Writable | null, bytes: Buffer): Promise<void> {
  if (stream === null || stream.destroyed || stream.writableEnded || stream.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done).off("error", done);
      resolve();
    };
    stream.on("drain", done).on("close", done).on("error", done);
  });
}
