/** The spec of a call as a program writes it, and its translation to the spec of the contract. */
import { PoolError } from "../../openapi/errors.ts";
import type { Ending } from "./child.ts";
import type { SpecWithFiles } from "./files.ts";
import { type Bundle, type PoolFunction, sourceOf, type Task } from "./functions.ts";
import type { OutputStreams } from "./http/output.ts";
import type { ChildSpecInput } from "./http/send-spec.ts";
import { type Encoding, encodeArguments } from "./values.ts";

/**
 * The keys of any spec, beside the work itself. All are optional.
 *
 * - `env`: variables for the child. Default: none of the caller's.
 * - `stdin`: the child's standard input. Default: empty for a call, open for a placed child.
 * - `tty`: the `rows` and `columns` of a terminal for a command. Default: no terminal.
 * - `files`, `archive`: files that go into the workspace. `artifacts`: patterns of those that come
 *   out.
 * - `waitMs`: milliseconds to wait for a slot. Default 0: a full pool refuses the call at once.
 * - `deadlineMs`: milliseconds until the child is stopped, the wait included. Default: 5 minutes
 *   for a call, none for a placed child; the operator can change both.
 * - `link`: stop the child when the caller's connection goes. Default false.
 * - `idempotencyKey`: 1 to 255 visible ASCII characters of the caller's own, which start one child
 *   at most. The same key and spec again, from any process, give the same child: its output from
 *   the start, or its result. Each input of a `map` has the key `KEY/INDEX`. Default: none.
 * - `labels`: words of the caller's own, shown with the child.
 * - `notify`: `{url}`, to which the member posts the ending. Default: none.
 * - `limits`: tighter limits than the pool's. `sandbox`: the weakest acceptable sandbox level.
 * - `outputEncoding`: `text` or `base64`, the form of output events. Default `text`.
 */
type SpecFields = Omit<SpecWithFiles, "command" | "function" | "task">;

interface ValueFields {
  /** How arguments and the value travel. Default `json`. */
  readonly encoding?: Encoding;
}

/** Runs a program with its arguments; no shell reads them. */
export interface CommandSpec extends SpecFields {
  readonly command: readonly string[];
  readonly function?: never;
  readonly task?: never;
}

/** The source of a function as the contract has it. Its `args` are values, not yet encoded. */
type FunctionSource = NonNullable<ChildSpecInput["function"]>;

/** Runs a function: one of this program's, a bundle, or source. */
export interface FunctionSpec extends SpecFields, ValueFields {
  readonly function: PoolFunction | Bundle | FunctionSource;
  /** The arguments, unless the source has its own `args`. Default: none. */
  readonly args?: readonly unknown[];
  readonly command?: never;
  readonly task?: never;
}

/** Runs a task, which the operator installed. */
export interface TaskSpec extends SpecFields, ValueFields {
  readonly task: NonNullable<ChildSpecInput["task"]>;
  /** The arguments, unless the task has its own `args`. Default: none. */
  readonly args?: readonly unknown[];
  readonly command?: never;
  readonly function?: never;
}

export type Spec = CommandSpec | FunctionSpec | TaskSpec;

/** Options of the caller's side, and defaults for the keys of the spec. */
export interface CallOptions extends SpecFields, ValueFields, OutputStreams {
  /** Ends the wait. The child lives on, unless it is linked. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Further tries for what certainly started nothing: the pool was full, no member could be
   * reached, or the member refused because of its load. What may have run is tried again only with
   * an `idempotencyKey`, after `member_lost`: that starts no second child.
   * The pauses are random: up to 100 ms before the first, and twice as long before each next one,
   * up to 10 seconds, behind the time of `Retry-After`. No try starts after `deadlineMs`. Default
   * 0; 5 for each input of a `map`.
   */
  readonly retries?: number | undefined;
  /** The bytes of stdout, and of stderr, that `run` keeps. Default 1,048,576 (1 MiB). */
  readonly maxOutputBytes?: number | undefined;
}

/** How a command ended. */
export type CommandResult<Stream = ReadableStream<Uint8Array>> = Ending<Stream> & {
  readonly exitCode: number;
};

/** Anything that `call` runs. */
export type Work = PoolFunction | Bundle | Task | Spec;

/**
 * The spec and the options in the arguments of `call`. Without a spec they are the work's own.
 *
 * @throws {PoolError} `invalid_request` for work of another type, which JavaScript lets pass.
 */
export function specOf(work: Work, rest: unknown[]): [spec: Spec, options: CallOptions] {
  const kind = Array.isArray(work) ? "array" : work === null ? "null" : typeof work;
  if (kind !== "function" && kind !== "object")
    throw PoolError.of(
      "invalid_request",
      "expected a function, a bundle, a task or a child spec, " +
        `such as { command: ["echo", "hello"] }; got ${kind}`,
    );
  if (typeof work === "function" || "hash" in work) return [{ function: work, args: rest }, {}];
  if (typeof work.task === "string") return [{ task: { name: work.task }, args: rest }, {}];
  return [work as Spec, (rest[0] ?? {}) as CallOptions];
}

/**
 * The spec of the contract, with functions as source and arguments encoded. Files are still those
 * of this program.
 *
 * @param options defaults for the keys of the spec; those of the caller's side are left out.
 * @throws {PoolError} `invalid_request` for a function or an argument that cannot travel.
 */
export function contractSpec(spec: Spec, options: CallOptions): SpecWithFiles {
  const { stdout, stderr, onProgress, maxOutputBytes, ...ours } = options;
  const { signal, retries, encoding: usual, ...defaults } = ours;
  const {
    function: fn,
    task,
    args = [],
    encoding = usual ?? "json",
    ...fields
  } = spec as FunctionSpec | TaskSpec;
  const encode = <W extends FunctionSource | TaskSpec["task"]>(work: W): W => {
    const own = work.encoding ?? encoding;
    return { ...work, args: encodeArguments(work.args ?? args, own), encoding: own };
  };
  return {
    ...defaults,
    ...fields,
    ...(fn && { function: encode(typeof fn === "function" ? { source: sourceOf(fn) } : fn) }),
    ...(task && { task: encode(task) }),
  };
}
