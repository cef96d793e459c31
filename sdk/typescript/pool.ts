/** The public verbs: call, stream, placeChild, and the listings of pools and children. */
import type { Child as ChildInfo, Count } from "../../openapi/types.gen.ts";
import {
  type CallOptions,
  type CommandResult,
  type CommandSpec,
  contractSpec,
  type FunctionSpec,
  type Spec,
  specOf,
  type TaskSpec,
  type Work,
} from "./call-spec.ts";
import { copied } from "./calls/results.ts";
import { Retries, retried } from "./calls/retry.ts";
import { Verbs } from "./calls/verbs.ts";
import { Child } from "./child.ts";
import { Connection, connectByFetch, type DistributedPoolOptions } from "./connection.ts";
import { splitFiles } from "./files.ts";
import type { ArgumentsOf, Bundle, PoolContext, PoolFunction, Task } from "./functions.ts";
import { ownStreams } from "./http/output.ts";
import type { NumberedEvent } from "./http/read-events.ts";
import type { PoolChildList, PoolInfo, PoolList } from "./placement/access.ts";
import { streamCall } from "./stream-call.ts";
import { activeTrace } from "./trace/trace-context.ts";

/** The children that a listing shows. Default: all of them. */
export interface ChildrenFilter {
  /** Labels that a child must all carry; `true` stands for any value. */
  readonly labels?: Readonly<Record<string, string | true>>;
  readonly status?: ChildInfo["status"];
}

/**
 * Pools of machines, found through any one member.
 *
 * @example
 * const pools = new DistributedPool({ url: "http://127.0.0.1:7400" });
 * const sum = await pools.call("pipeline", (a: number, b: number) => a + b, 1211, 1);
 * await pools.close();
 */
export class DistributedPool<Stream = ReadableStream<Uint8Array>> extends Verbs<Stream> {
  readonly #connection: Connection<Stream>;

  /**
   * Opens no connection; the first request does.
   *
   * @param options `url` is that of one member, which places and forwards. `token` says who calls
   *   (default: no token). `fetch` sends each request (default: that of the platform).
   * @param defaults as for {@link DistributedPool.with}. Default: none.
   * @throws {PoolError} `invalid_request` for a malformed URL or token.
   * @example
   * const pools = new DistributedPool({ url: "https://m1.example:7400", token });
   */
  constructor(options: DistributedPoolOptions | Connection<Stream>, defaults: CallOptions = {}) {
    super(defaults);
    this.#connection =
      options instanceof Connection ? options : (connectByFetch(options) as Connection<Stream>);
  }

  /**
   * The same pools and connections, with other defaults for the calls made through the result.
   * The options of a call, and the keys of its spec, take precedence.
   *
   * @example
   * await pools.with({ deadlineMs: 1_000, stdout: null }).call("pipeline", work, 42);
   */
  with(defaults: CallOptions): DistributedPool<Stream> {
    return new DistributedPool(this.#connection, { ...this.defaults, ...defaults });
  }

  /**
   * Runs a function on the least loaded member of the pool and returns its value. What it prints
   * is copied to this process.
   *
   * The function travels as source, and sees no variable that it captured. Behind its arguments it
   * receives a {@link PoolContext}, if it declares a parameter for it without a default. Arguments
   * and the value travel as JSON, or with `with({ encoding: "devalue" })` by devalue.
   *
   * The options and their defaults are those of {@link CallOptions}; a function takes them by
   * `with`. The child lives on when this caller goes away, unless `link` is set. A call that may
   * have been admitted is never sent again; a stream that was cut resumes after its last event.
   *
   * @throws {PoolError} by `code`: `function_threw` ({@link FunctionThrewError}, with the remote
   *   stack); `all_members_at_capacity` and, after `waitMs`, `queue_timeout`;
   *   `no_members_available`; `deadline_exceeded`; `cancelled` when the child was stopped or its
   *   `stdin` failed; `out_of_memory`; `worker_crashed`; `member_lost`; `unauthorized` and
   *   `forbidden`; `invalid_request`; `events_expired` when it ended well, but output was lost.
   * @example
   * await pools.call("pipeline", (name: string) => console.log(`${name} says hi`), "m1");
   */
  call<A extends unknown[], R>(
    pool: string,
    fn: (...args: [...A, PoolContext]) => R,
    ...args: A
  ): Promise<Awaited<R>>;
  /** The same, for a function that does not use the context. */
  call<A extends unknown[], R>(
    pool: string,
    fn: (...args: A) => R,
    ...args: A
  ): Promise<Awaited<R>>;
  /**
   * The same, for a function with its imports ({@link bundle}), or one that the operator installed
   * ({@link task}).
   *
   * @throws {PoolError} as above; `task_not_found` when no member has the task.
   * @example
   * const words = await bundle<typeof import("./words.ts")>(new URL("words.ts", import.meta.url));
   * const count = await pools.call("pipeline", words, "one two two");
   */
  call<F extends PoolFunction>(
    pool: string,
    work: Bundle<F> | Task<F>,
    ...args: ArgumentsOf<F>
  ): Promise<Awaited<ReturnType<F>>>;
  /**
   * Runs a command on the least loaded member of the pool. A non-zero exit code is a result, not
   * an error.
   *
   * @returns `child`, a handle; `exitCode`; `usage` (`wallMs`, `cpuMs`, `maxRssBytes`);
   *   `artifacts`, the files that the child left, and `file(path)` to read one.
   * @throws {PoolError} as above, but for `function_threw`; `worker_crashed` when a signal ended
   *   the command.
   * @example
   * const { exitCode } = await pools.call("pipeline", { command: ["uname", "-a"] });
   * await pools.call("pipeline", { command: ["sha256sum"], stdin: createReadStream("in.mp4") });
   */
  call(pool: string, spec: CommandSpec, options?: CallOptions): Promise<CommandResult<Stream>>;
  /**
   * Runs a function or a task by a spec, and returns its value.
   *
   * @throws {PoolError} as above; `runtime_not_found` when no member has the runtime.
   * @example
   * const spec = { function: { source: "lambda a: a + 1", runtime: "python" }, args: [1211] };
   * await pools.call("pipeline", spec, { deadlineMs: 1_000 });
   */
  call(pool: string, spec: FunctionSpec | TaskSpec, options?: CallOptions): Promise<unknown>;
  async call(pool: string, work: Work, ...rest: unknown[]): Promise<unknown> {
    const [spec, options] = specOf(work, rest);
    const given = { ...this.defaults, ...options };
    const own = ownStreams();
    const { stdout = own.stdout, stderr = own.stderr, onProgress } = given;
    // As base64, the bytes that are copied here are the bytes that the child wrote.
    const events = this.stream(pool, { outputEncoding: "base64", ...spec } as Spec, options);
    const childOf = (id: string) => this.child(id);
    const ending = await copied(events, { stdout, stderr, onProgress, childOf });
    return spec.function === undefined && spec.task === undefined ? ending : ending.value;
  }

  /**
   * Makes a call like {@link DistributedPool.call}, and yields its events: `queued` while it waits,
   * `placed` before all output, and one terminal event, `result` or `failed`, at the end. A child
   * that fails ends the stream with `failed`; it throws no error.
   *
   * Leaving the loop closes the connection. The child lives on, unless it is linked, or its `stdin`
   * is a stream that has not ended.
   *
   * @throws {PoolError} as `call` does when the call is not placed; `member_lost` when the stream
   *   was cut for good; `events_expired` when it resumed too late.
   * @example
   * for await (const event of pools.stream("pipeline", { command: ["date", "+%Y"] }))
   *   if (event.type === "stdout") process.stdout.write(outputBytes(event));
   */
  async *stream(
    pool: string,
    spec: Spec,
    options: CallOptions = {},
  ): AsyncGenerator<NumberedEvent, void, undefined> {
    const all = { ...this.defaults, ...options };
    const { signal, retries } = all;
    const call = { spec: contractSpec(spec, all), signal, retries };
    yield* streamCall(this.#connection, pool, call);
  }

  /**
   * Places a child that lives on its own: it outlives this caller, and has no deadline unless
   * `deadlineMs` is set. Resolves when a member has admitted it.
   *
   * @throws {PoolError} `all_members_at_capacity`, `queue_timeout`, `no_members_available`,
   *   `invalid_request`, `unauthorized`, `forbidden`; `member_lost` when a member may have
   *   admitted the child.
   * @example
   * const child = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
   * console.log(child.id);
   */
  async placeChild(pool: string, spec: Spec, options: CallOptions = {}): Promise<Child<Stream>> {
    const all = { ...this.defaults, ...options };
    const trace = activeTrace();
    const { access, localFiles } = this.#connection;
    const { spec: wire, parts } = await splitFiles(contractSpec(spec, all), localFiles);
    const { signal } = all;
    const retries = new Retries({ ...wire, retries: all.retries, signal });
    const { id } = await retried(retries, () =>
      access.placeChild(pool, { ...wire, ...retries.forSpec }, { signal, parts, trace }),
    );
    return this.child(id);
  }

  /** A handle on a child by its id. It sends no request yet. */
  child(id: string): Child<Stream> {
    return new Child(id, this.#connection);
  }

  /** The pools that have members. @throws {PoolError} `no_members_available`. */
  pools(): Promise<PoolList> {
    return this.#connection.access.pools();
  }

  /** A pool's members, load, tasks and runtimes. @throws {PoolError} `pool_not_found`. */
  pool(pool: string): Promise<PoolInfo> {
    return this.#connection.access.pool(pool);
  }

  /**
   * A pool's children on all its members. A child that has ended is listed while it is remembered.
   *
   * @throws {PoolError} `pool_not_found`.
   * @example
   * await pools.children("pipeline", { labels: { job: "nightly" }, status: "running" });
   */
  children(pool: string, { labels = {}, status }: ChildrenFilter = {}): Promise<PoolChildList> {
    const pairs = Object.entries(labels).map(([name, value]) =>
      value === true ? name : `${name}=${value}`,
    );
    return this.#connection.access.children(pool, { labels: pairs, status });
  }

  /**
   * Lets the member of `url` drain: it admits no more children, finishes those that run, leaves its
   * pools, and ends. Resolves at once.
   *
   * @returns the member's name, and its running children by pool.
   * @throws {PoolError} `invalid_request` with `consul`, which names no single member.
   */
  drain(): Promise<Count> {
    return this.#connection.access.drain();
  }

  /** Closes the connections and the watch. Calls that are under way end with `member_lost`. */
  async close(): Promise<void> {
    this.#connection.access.close();
    this.#connection.client.close();
  }

  /** Closes at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
