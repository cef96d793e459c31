/** The verbs that are built on a call: `run`, which returns the output, and `map`. */
import {
  type CallOptions,
  type CommandSpec,
  type FunctionSpec,
  type Spec,
  specOf,
  type TaskSpec,
  type Work,
} from "../call-spec.ts";
import type { Child } from "../child.ts";
import type { ArgumentsOf, Bundle, PoolContext, PoolFunction, Task } from "../functions.ts";
import type { NumberedEvent } from "../http/read-events.ts";
import type { PoolInfo } from "../placement/access.ts";
import type { Inputs } from "./fan-out.ts";
import { type InputOf, MAP_DEFAULTS, type MapOptions, type MapResults, mapped } from "./map.ts";
import { type CommandRun, collected, type FunctionRun } from "./results.ts";

export abstract class Verbs<Stream> {
  /** The options of every call, unless the call has its own. */
  protected readonly defaults: CallOptions;

  constructor(defaults: CallOptions) {
    this.defaults = defaults;
  }

  abstract call(
    pool: string,
    spec: FunctionSpec | TaskSpec,
    options?: CallOptions,
  ): Promise<unknown>;
  abstract stream(
    pool: string,
    spec: Spec,
    options?: CallOptions,
  ): AsyncGenerator<NumberedEvent, void, undefined>;
  abstract child(id: string): Child<Stream>;
  abstract pool(pool: string): Promise<PoolInfo>;

  /**
   * Makes a call like `call`, and returns the child's output instead of copying it to this process.
   *
   * @param options those of `call`, where `maxOutputBytes` bounds stdout and stderr, each (default
   *   1 MiB). The child may write more; the rest is dropped, and `truncated` is true. `stdout` and
   *   `stderr` are not written to.
   * @returns `child`, a handle; the `exitCode` of a command or the `value` of a function; `stdout`
   *   and `stderr` as text; `truncated`; `usage`; `artifacts`, and `file(path)` to read one.
   * @throws {PoolError} as `call` does. Once a child was placed, `error.problem` also has the
   *   `stdout`, `stderr` and `truncated` so far.
   * @example
   * const { exitCode, stdout } = await pools.run("pipeline", { command: ["uname", "-a"] });
   */
  run(pool: string, spec: CommandSpec, options?: CallOptions): Promise<CommandRun<Stream>>;
  /** The same, for a function or a task by a spec. */
  run(
    pool: string,
    spec: FunctionSpec | TaskSpec,
    options?: CallOptions,
  ): Promise<FunctionRun<unknown, Stream>>;
  /** The same, for a function, which takes its options by `with`. */
  run<A extends unknown[], R>(
    pool: string,
    fn: (...args: [...A, PoolContext]) => R,
    ...args: A
  ): Promise<FunctionRun<Awaited<R>, Stream>>;
  /** The same, for a function that does not use the context. */
  run<A extends unknown[], R>(
    pool: string,
    fn: (...args: A) => R,
    ...args: A
  ): Promise<FunctionRun<Awaited<R>, Stream>>;
  /** The same, for a bundle or a task. */
  run<F extends PoolFunction>(
    pool: string,
    work: Bundle<F> | Task<F>,
    ...args: ArgumentsOf<F>
  ): Promise<FunctionRun<Awaited<ReturnType<F>>, Stream>>;
  async run(pool: string, work: Work, ...rest: unknown[]): Promise<unknown> {
    const [spec, options] = specOf(work, rest);
    const { maxOutputBytes, onProgress } = { ...this.defaults, ...options };
    // As base64, the text is decoded here, over the borders of events.
    const events = this.stream(pool, { ...spec, outputEncoding: "base64" } as Spec, options);
    return collected(events, { maxOutputBytes, onProgress, childOf: (id) => this.child(id) });
  }

  /**
   * Calls a function for each input, as many at a time as the pool has slots. Reads the inputs one
   * by one, as calls may start.
   *
   * Each input is the one argument of its call. A call waits for a slot for up to 60 seconds
   * (`waitMs`), and is made again up to 5 times (`retries`) when it certainly started nothing. The
   * children are linked: they stop when the map ends. With an `idempotencyKey`, each call has a key
   * of its own: that key, `/` and the position of its input from 0 on.
   *
   * The first failure ends the map, and so do the `signal` and a reader that leaves: the map reads
   * no further input, closes the inputs, and stops the other calls. At most `concurrency` calls
   * run; results that nobody has read hold back further calls.
   *
   * @param options `concurrency`: calls at a time (default: the slots of the pool, counted every 5
   *   seconds). `ordered`: results in the order of the inputs (default true). `onProgress`: called
   *   when a call has succeeded. The others are those of `call`.
   * @returns the results, to be read once: `for await` yields them, `await` gives an array. The
   *   first read starts the calls.
   * @throws {PoolError} the first failure of a call, as `call` does, with the position of its input
   *   from 0 on as `index`; `pool_not_found`; `invalid_request` for a command, or for a spec that
   *   has `args`.
   * @example
   * const squares = await pools.map("pipeline", (n: number) => n * n, [1, 2, 3]);
   * for await (const length of pools.map("pipeline", (line: string) => line.length, lines))
   *   console.log(length);
   */
  map<I, R>(
    pool: string,
    fn: (input: I) => R,
    inputs: Inputs<I>,
    options?: MapOptions,
  ): MapResults<Awaited<R>>;
  /** The same, for a function that uses the context. */
  map<I, R>(
    pool: string,
    fn: (input: I, context: PoolContext) => R,
    inputs: Inputs<I>,
    options?: MapOptions,
  ): MapResults<Awaited<R>>;
  /** The same, for a bundle or a task of one argument. */
  map<F extends PoolFunction>(
    pool: string,
    work: Bundle<F> | Task<F>,
    inputs: Inputs<InputOf<F>>,
    options?: MapOptions,
  ): MapResults<Awaited<ReturnType<F>>>;
  /** The same, for a spec of a function or a task, which has no `args`. */
  map(
    pool: string,
    spec: Omit<FunctionSpec, "args"> | Omit<TaskSpec, "args">,
    inputs: Inputs<unknown>,
    options?: MapOptions,
  ): MapResults<unknown>;
  map(
    pool: string,
    work: Work,
    ...[inputs, options]: [inputs: Inputs<unknown>, options?: MapOptions]
  ): MapResults<unknown> {
    const { onProgress: _, ...defaults } = this.defaults;
    return mapped(this, { ...MAP_DEFAULTS, ...defaults, ...options, pool, work, inputs });
  }
}
