/** Problems: what ended a request or a child, and `PoolError`, their one class of errors. */
import { ERRORS, type ErrorCode } from "./codes.ts";
import type { FunctionError, Problem } from "./types.gen.ts";

export {
  ERROR_CODES,
  ERRORS,
  type ErrorCode,
  type ProblemStatus,
  RETRY_AFTER_SECONDS,
} from "./codes.ts";
export type { FunctionError, Load, Problem } from "./types.gen.ts";

export type ProblemExtras = Pick<Problem, "fields" | "load" | "error">;

/**
 * Builds the problem of a code.
 *
 * @param detail for people, as a rule in the form `expected …; got …`.
 */
export function problem(code: ErrorCode, detail: string, extras: ProblemExtras = {}): Problem {
  const { status, title } = ERRORS[code];
  return { type: `urn:distributed-pool:problem:${code}`, title, status, detail, code, ...extras };
}

/**
 * The one class of errors that the SDK and the server throw: a problem that ended a request or a
 * child.
 *
 * Match on {@link PoolError.code}; `message` is for people.
 */
export class PoolError extends Error {
  override readonly name: string = "PoolError";
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail, options);
    this.problem = problem;
  }

  /** The stable code of the problem. A newer member may send one that this version lacks. */
  get code(): Problem["code"] {
    return this.problem.code;
  }

  /**
   * True when nothing was run, so the caller may make the same call again after a pause.
   * False for a code that this version does not know.
   */
  get retryable(): boolean {
    return isErrorCode(this.code) && ERRORS[this.code].retryable;
  }

  static of(code: ErrorCode, detail: string, extras?: ProblemExtras & ErrorOptions): PoolError {
    const { cause, ...rest } = extras ?? {};
    return create(problem(code, detail, rest), cause === undefined ? undefined : { cause });
  }
}

/** Stands outside the class: a bundler renames a class that refers to itself inside. */
function create(problem: Problem, options?: ErrorOptions): PoolError {
  return new PoolError(problem, options);
}

/** The function threw inside its child. `error` is the remote error, `error.stack` its stack. */
export class FunctionThrewError extends PoolError {
  override readonly name = "FunctionThrewError";
  readonly error: FunctionError;

  constructor(problem: Problem & { error: FunctionError }) {
    super(problem);
    this.error = problem.error;
  }
}

/** The error for a problem that came over the wire. */
export function errorFor(problem: Problem): PoolError {
  return problem.code === "function_threw" && problem.error
    ? new FunctionThrewError({ ...problem, error: problem.error })
    : new PoolError(problem);
}

/** Whether this version knows the code. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "")
    return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
