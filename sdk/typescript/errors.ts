/** The one class of errors that the SDK and the server throw: a problem of the contract, matched by its `code`. */
import { ERRORS, type ErrorCode, type FunctionError, type Problem, type ProblemExtras, problem } from "../../openapi/errors.ts";

/**
 * Something that ended a request or a child, as the contract names it.
 *
 * Match on {@link PoolError.code}; `message` is for people.
 */
export class PoolError extends Error {
  override readonly name: string = "PoolError";
  readonly problem: Problem;

  constructor(given: Problem, options?: ErrorOptions) {
    super(given.detail, options);
    this.problem = given;
  }

  /** The stable code of the problem. */
  get code(): ErrorCode {
    return this.problem.code;
  }

  /** True when nothing was run, so the same call may be made again after a pause. */
  get retryable(): boolean {
    return ERRORS[this.code]?.retryable ?? false;
  }

  static of(code: ErrorCode, detail: string, extras?: ProblemExtras & ErrorOptions): PoolError {
    const { cause, ...rest } = extras ?? {};
    return create(problem(code, detail, rest), cause === undefined ? undefined : { cause });
  }
}

/** Apart from the class: a class that names itself inside loses its name in a bundle. */
function create(given: Problem, options?: ErrorOptions): PoolError {
  return new PoolError(given, options);
}

/** The function threw in its child. `error` is what it threw there; `error.stack` is the remote stack. */
export class FunctionThrewError extends PoolError {
  override readonly name = "FunctionThrewError";
  readonly error: FunctionError;

  constructor(given: Problem & { error: FunctionError }) {
    super(given);
    this.error = given.error;
  }
}

/** The error for a problem that came over the wire. */
export function errorFor(given: Problem): PoolError {
  if (given.code === "function_threw" && given.error) return new FunctionThrewError({ ...given, error: given.error });
  return new PoolError(given);
}

/** What is left to say of an unknown thing that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
