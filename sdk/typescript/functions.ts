/** Functions that run elsewhere: their types, their source, and those of the operator. */
import { PoolError } from "../../openapi/errors.ts";
import { NAME, NAME_RULE } from "../../openapi/names.ts";

/** The context, which a function receives after its arguments. */
export interface PoolContext {
  readonly member: string;
  readonly pool: string;
  readonly childId: string;
  /**
   * Aborts when the child is told to stop: on request, or at its deadline. The child then has the
   * grace (5 seconds by default) until KILL. Also aborts when the member drains, which lets the
   * child run on. `signal.reason` says which.
   */
  readonly signal: AbortSignal;
  /** The time when the child is stopped, in milliseconds since the epoch; null for never. */
  readonly deadline: number | null;
  /**
   * Reports progress. A function may call it as often as it likes: the member throttles reports to
   * five a second, keeps the latest, and ignores reports that are not valid.
   *
   * @param done the amount that is done, in a unit of the function's own.
   * @param total the whole amount, in the same unit. Default: unknown.
   * @param message one line for people, cut after 200 characters. Default: none.
   */
  progress(done: number, total?: number, message?: string): void;
}

/** Any function that can be sent. */
// biome-ignore lint/suspicious/noExplicitAny: the arguments are the function's own.
export type PoolFunction = (...args: any[]) => unknown;

declare const runs: unique symbol;

/** Stands for a function that runs elsewhere. Only the compiler knows the function's type. */
export interface Runs<F extends PoolFunction> {
  readonly [runs]?: F;
}

/** The function that a module exports under a name. */
export type FunctionAt<M, K extends string> = K extends keyof M
  ? M[K] extends PoolFunction
    ? M[K]
    : never
  : never;

type IsContext<T> = 0 extends T & 1 ? false : T extends PoolContext ? true : false;
type WithoutLast<P extends unknown[]> = P extends [...infer A, _?: unknown] ? A : P;

/**
 * The arguments of a call: all parameters but the context. A parameter that has a default may be
 * left out. The member passes the context behind the given arguments where the function has more
 * parameters without a default than that.
 */
export type ArgumentsOf<F extends PoolFunction> =
  Required<Parameters<F>> extends [...infer _, infer L]
    ? IsContext<L> extends true
      ? WithoutLast<Parameters<F>>
      : Parameters<F>
    : Parameters<F>;

/**
 * The source of a function, as one expression.
 *
 * @throws {PoolError} `invalid_request` for a native or bound function, which has no source, and
 *   for a class.
 */
export function sourceOf(fn: PoolFunction): string {
  const source = Function.prototype.toString.call(fn);
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    const name = fn.name ? `function ${fn.name}` : "the function";
    throw PoolError.of(
      "invalid_request",
      `expected a function with JavaScript source; ${name} is native or bound and has none`,
    );
  }
  if (/^class\b/.test(source))
    throw PoolError.of("invalid_request", `expected a function; got class ${fn.name}`);
  if (isExpression(source)) return source;
  // A method (`name() {}`) is an expression only inside an object.
  return `Object.values({${source}})[0]`;
}

function isExpression(source: string): boolean {
  try {
    new Function(`return (${source}\n)`);
    return true;
  } catch (error) {
    // A process may forbid code from text (--disallow-code-generation-from-strings). Then this
    // assumes an expression, which most functions are.
    return !(error instanceof SyntaxError);
  }
}

/** An ES module with a function and everything that it needs, apart from Node's own modules. */
export interface Bundle<F extends PoolFunction = PoolFunction> extends Runs<F> {
  readonly source: string;
  /** Names the source. A member that keeps the source is sent this hash alone. */
  readonly hash: string;
  /** The function's name among the module's exports. */
  readonly export: string;
}

/** Names a function of the operator's. Only the compiler knows the function's type. */
export interface Task<F extends PoolFunction = PoolFunction> extends Runs<F> {
  readonly task: string;
}

/**
 * Names a task for {@link DistributedPool.call}. It sends no request: when no member has the task,
 * the call fails with `task_not_found`.
 *
 * @typeParam M the task's module, whose default export gives the types of the arguments and the
 *   value. Default: they are unknown.
 * @param name the file name of the task on the members, without its ending.
 * @throws {PoolError} `invalid_request` for a string that cannot be the name of a task.
 * @example
 * const thumbnails = task<typeof import("../tasks/thumbnails.ts")>("thumbnails");
 * const images = await pools.call("pipeline", thumbnails, film);
 */
export function task<M extends object = { default: PoolFunction }>(
  name: string,
): Task<FunctionAt<M, "default">> {
  if (typeof name !== "string" || !NAME.test(name))
    throw PoolError.of(
      "invalid_request",
      `expected a task name: ${NAME_RULE}; got ${JSON.stringify(name)}`,
    );
  return { task: name };
}
