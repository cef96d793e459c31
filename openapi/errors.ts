/** Problems: what ended a request or a child, and `PoolError`, their one class of errors. */
import { ERRORS, type ErrorCode } from "./codes.ts";
import type { FunctionError, Problem, RunProblem } from "./types.gen.ts";

export {
  ERROR_CODES,
  ERRORS,
  type ErrorCode,
  type ProblemStatus,
  RETRY_AFTER_SECONDS,
} from "./codes.ts";
export type { FunctionError, Load, Problem, RunProblem } from "./types.gen.ts";

export type ProblemExtras = Pick<Problem, "fields" | "load" | "error" | "admitted">;

/** 8,192 characters of a detail: a refusal repeats no more of what came. */
export const MAX_DETAIL = 8_192;

/** The beginning of a text, with an ellipsis where it is longer than `max` characters. */
export function shortened(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max).replace(/[\ud800-\udbff]$/, "")}…`;
}

/**
 * Builds the problem of a code.
 *
 * @param text for people, as a rule in the form `expected …; got …`. It is cut at 8,192 characters.
 */
export function problem(code: ErrorCode, text: string, extras: ProblemExtras = {}): Problem {
  const { status, title } = ERRORS[code];
  const detail = shortened(text, MAX_DETAIL);
  return { type: `urn:distributed-pool:problem:${code}`, title, status, detail, code, ...extras };
}

export interface PoolErrorOptions extends ErrorOptions {
  /** Milliseconds to pause before the same call is made again. Default: unknown. */
  readonly retryAfter?: number | undefined;
}

/**
 * Lets `instanceof` hold across copies of a class, such as those of ESM and CommonJS in one
 * process: all copies mark their errors with one symbol.
 */
function mark(Class: { readonly prototype: PoolError }, name: string): void {
  const symbol = Symbol.for(`distributed-pool.${name}`);
  Object.defineProperty(Class.prototype, symbol, { value: true });
  Object.defineProperty(Class, Symbol.hasInstance, {
    // A subclass of a caller's inherits this, and has no mark.
    value(this: unknown, error: unknown) {
      return this === Class
        ? typeof error === "object" && error !== null && symbol in error
        : Function.prototype[Symbol.hasInstance].call(this, error);
    },
  });
}

/**
 * The one class of errors that the SDK and the server throw: a problem that ended a request or a
 * child. Its subclasses are the errors that callers catch separately.
 *
 * Match on {@link PoolError.code}; `message` is for people.
 */
export class PoolError extends Error {
  override readonly name: string = "PoolError";
  /**
   * The problem. When a call had placed a child, the problem also has the `child`, and what a child
   * that failed left: its `exitCode`, `usage` and `artifacts`. With `run` it has the output.
   */
  readonly problem: RunProblem;
  /**
   * Milliseconds to pause before the same call is made again, as the member asked by `Retry-After`;
   * undefined when it did not.
   */
  readonly retryAfter: number | undefined;

  constructor(problem: RunProblem, { retryAfter, ...options }: PoolErrorOptions = {}) {
    super(problem.detail, options);
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  /**
   * The stable code of the problem: an {@link ErrorCode}, or a code of a newer member, which this
   * version does not know. {@link isErrorCode} tells them apart.
   */
  get code(): Problem["code"] {
    return this.problem.code;
  }

  /** The HTTP status of the problem. */
  get status(): number {
    return this.problem.status;
  }

  /**
   * Whether a member admitted the child: false when certainly nothing was run; `"unknown"` when its
   * answer was lost; undefined where neither the problem nor its code says it.
   */
  get admitted(): Problem["admitted"] {
    const { admitted, code } = this.problem;
    return admitted ?? (isErrorCode(code) && ERRORS[code].retryable ? false : undefined);
  }

  /**
   * True when nothing was run, so the caller may make the same call again after a pause.
   * False for a code that this version does not know, unless the problem says it.
   */
  get retryable(): boolean {
    return this.admitted === false;
  }

  static of(code: ErrorCode, detail: string, extras: ProblemExtras & ErrorOptions = {}): PoolError {
    const { cause, ...rest } = extras;
    return errorFor(problem(code, detail, rest), cause === undefined ? {} : { cause });
  }
}

/** No slot was free: `at_capacity`, `all_members_at_capacity` or `queue_timeout`. */
export class CapacityError extends PoolError {
  override readonly name = "CapacityError";
}

/**
 * The function threw inside its child. `error` is the remote error as data. `cause` is the same as
 * an `Error` with the remote name, stack and `code`, and its own `cause` and `errors`.
 */
export class FunctionThrewError extends PoolError {
  override readonly name = "FunctionThrewError";
  readonly error: FunctionError;

  constructor(problem: RunProblem & { error: FunctionError }, options?: PoolErrorOptions) {
    super(problem, { cause: remoteError(problem.error), ...options });
    this.error = problem.error;
  }
}

/** The remote error, with the errors behind it. */
function remoteError({ name, message, stack, code, cause, errors }: FunctionError): Error {
  const options = cause && { cause: remoteError(cause) };
  const error = errors
    ? new AggregateError(errors.map(remoteError), message, options)
    : new Error(message, options);
  const hidden = { configurable: true, writable: true };
  Object.defineProperty(error, "name", { ...hidden, value: name });
  // A local stack would show where this object was made.
  Object.defineProperty(error, "stack", { ...hidden, value: stack ?? `${name}: ${message}` });
  return code === undefined ? error : Object.assign(error, { code });
}

/** The member was lost, or does not answer. It is unknown whether the child still runs. */
export class MemberLostError extends PoolError {
  override readonly name = "MemberLostError";
}

mark(PoolError, "PoolError");
mark(CapacityError, "CapacityError");
mark(FunctionThrewError, "FunctionThrewError");
mark(MemberLostError, "MemberLostError");

const CLASSES: Readonly<Partial<Record<string, typeof PoolError>>> = {
  at_capacity: CapacityError,
  all_members_at_capacity: CapacityError,
  queue_timeout: CapacityError,
  member_lost: MemberLostError,
};

/** The error for a problem, of the class that its code has. */
export function errorFor(problem: RunProblem, options?: PoolErrorOptions): PoolError {
  if (problem.code === "function_threw" && problem.error)
    return new FunctionThrewError({ ...problem, error: problem.error }, options);
  const Class = (Object.hasOwn(CLASSES, problem.code) && CLASSES[problem.code]) || PoolError;
  return new Class(problem, options);
}

/**
 * Whether this version knows the code of an error. Behind it, a comparison narrows the code, and a
 * `switch` can be complete.
 *
 * @example
 * if (isErrorCode(error.code))
 *   switch (error.code) {
 *     case "at_capacity":
 *   }
 */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "")
    return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
