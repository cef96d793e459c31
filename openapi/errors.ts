/** Problems: how the contract describes what ended a request or a child, and `PoolError`. */
import { z } from "@hono/zod-openapi";
import { ERROR_CODES, ERRORS, type ErrorCode } from "./codes.ts";

export {
  ERROR_CODES,
  ERRORS,
  type ErrorCode,
  type ProblemStatus,
  RETRY_AFTER_SECONDS,
} from "./codes.ts";

export const ErrorCodeSchema = z.enum(ERROR_CODES).openapi("ErrorCode");

export const LoadSchema = z
  .object({
    active: z.int().min(0).describe("Children that hold a slot now."),
    max: z
      .int()
      .min(0)
      .describe("Slots of this pool on this member (`maxChildren`); 0 while it drains."),
    queued: z.int().min(0).describe("Callers that wait for a slot of this pool on this member."),
  })
  .openapi("Load");
export type Load = z.infer<typeof LoadSchema>;

export const FunctionErrorSchema = z
  .object({ name: z.string(), message: z.string(), stack: z.string().optional() })
  .openapi("FunctionError", {
    description: "The error that the function threw, as the child saw it.",
  });
export type FunctionError = z.infer<typeof FunctionErrorSchema>;

const InvalidFieldSchema = z
  .object({
    path: z.string().openapi({ description: "JSON Pointer to the field.", example: "/command/0" }),
    message: z.string().describe("The expected value, and the one that came."),
  })
  .openapi("InvalidField");

export const ProblemSchema = z
  .object({
    type: z.string().openapi({ example: "urn:distributed-pool:problem:at_capacity" }),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe("For people: what was expected, and what came."),
    code: ErrorCodeSchema,
    fields: z
      .array(InvalidFieldSchema)
      .optional()
      .describe("With `invalid_request`: each field at fault."),
    load: LoadSchema.optional().describe("With `at_capacity`: the member's load at that moment."),
    error: FunctionErrorSchema.optional().describe("With `function_threw`: the error."),
  })
  .openapi("Problem", { description: "RFC 9457 problem details with a stable `code`." });
export type Problem = z.infer<typeof ProblemSchema>;

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

  /** The stable code of the problem. */
  get code(): ErrorCode {
    return this.problem.code;
  }

  /**
   * True when nothing was run, so the caller may make the same call again after a pause.
   * False for a code that this version does not know.
   */
  get retryable(): boolean {
    return ERRORS[this.code]?.retryable ?? false;
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

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "")
    return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
