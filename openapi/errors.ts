/**
 * Every way a request or a child can fail: one code, its HTTP status, its title, and whether the same
 * request may be sent again. This is the only such table; a code without a status does not compile. And
 * `PoolError`, the one class of errors that the SDK and the server throw.
 */
import { z } from "@hono/zod-openapi";

/** The stable codes that callers match on. */
export const ERROR_CODES = [
  "invalid_request",
  "unauthorized",
  "forbidden",
  "not_found",
  "pool_not_found",
  "child_not_found",
  "slot_not_found",
  "task_not_found",
  "runtime_not_found",
  "source_unknown",
  "stdin_closed",
  "fetch_failed",
  "events_expired",
  "payload_too_large",
  "request_timeout",
  "too_many_requests",
  "function_threw",
  "at_capacity",
  "all_members_at_capacity",
  "no_members_available",
  "queue_timeout",
  "draining",
  "worker_crashed",
  "out_of_memory",
  "cancelled",
  "member_lost",
  "deadline_exceeded",
  "sandbox_unavailable",
  "internal_error",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export type ProblemStatus =
  | 400
  | 401
  | 403
  | 404
  | 408
  | 409
  | 410
  | 413
  | 422
  | 429
  | 500
  | 502
  | 503
  | 504;

interface ErrorEntry {
  readonly status: ProblemStatus;
  readonly title: string;
  /** True when nothing was run, so the same request may be sent again after a pause. */
  readonly retryable: boolean;
}

export const ERRORS: Readonly<Record<ErrorCode, ErrorEntry>> = {
  invalid_request: { status: 400, title: "The request is not valid", retryable: false },
  unauthorized: { status: 401, title: "A valid token is required", retryable: false },
  forbidden: { status: 403, title: "This is not allowed", retryable: false },
  not_found: { status: 404, title: "There is nothing at this path", retryable: false },
  pool_not_found: { status: 404, title: "There is no such pool here", retryable: false },
  child_not_found: { status: 404, title: "There is no such child", retryable: false },
  slot_not_found: {
    status: 404,
    title: "There is no such slot, or it is no longer held",
    retryable: false,
  },
  task_not_found: { status: 404, title: "There is no such task here", retryable: false },
  runtime_not_found: { status: 404, title: "There is no such runtime here", retryable: false },
  source_unknown: {
    status: 409,
    title: "The source with this hash has to be sent along",
    retryable: false,
  },
  stdin_closed: { status: 409, title: "The child takes no more input", retryable: false },
  fetch_failed: { status: 502, title: "A file could not be fetched", retryable: false },
  events_expired: { status: 410, title: "These events are no longer kept", retryable: false },
  payload_too_large: { status: 413, title: "The payload is too large", retryable: false },
  request_timeout: { status: 408, title: "The request did not arrive in time", retryable: true },
  too_many_requests: { status: 429, title: "Too many requests", retryable: true },
  function_threw: { status: 422, title: "The function threw", retryable: false },
  at_capacity: { status: 503, title: "This member is at capacity", retryable: true },
  all_members_at_capacity: {
    status: 503,
    title: "All members of the pool are at capacity",
    retryable: true,
  },
  no_members_available: {
    status: 503,
    title: "The pool has no member that answers",
    retryable: true,
  },
  queue_timeout: { status: 503, title: "No slot came free in time", retryable: true },
  draining: { status: 503, title: "This member is draining", retryable: true },
  worker_crashed: { status: 502, title: "The child crashed", retryable: false },
  out_of_memory: { status: 502, title: "The child ran out of memory", retryable: false },
  cancelled: { status: 502, title: "The child was stopped", retryable: false },
  member_lost: { status: 502, title: "The member was lost", retryable: false },
  deadline_exceeded: { status: 504, title: "The deadline passed", retryable: false },
  sandbox_unavailable: {
    status: 500,
    title: "The sandbox could not start the child",
    retryable: false,
  },
  internal_error: { status: 500, title: "The member made a mistake", retryable: false },
};

/** How long a caller should pause before it sends a retryable request again, in seconds (`Retry-After`). */
export const RETRY_AFTER_SECONDS = 1;

export const ErrorCodeSchema = z.enum(ERROR_CODES).openapi("ErrorCode");

export const LoadSchema = z
  .object({
    active: z.int().min(0).openapi({ description: "Children that hold a slot now." }),
    max: z.int().min(0).openapi({
      description: "Slots of this pool on this member (`maxChildren`); 0 while it drains.",
    }),
    queued: z.int().min(0).openapi({ description: "Callers that wait for a slot here." }),
  })
  .openapi("Load");
export type Load = z.infer<typeof LoadSchema>;

export const FunctionErrorSchema = z
  .object({ name: z.string(), message: z.string(), stack: z.string().optional() })
  .openapi("FunctionError", { description: "What the function threw, as the child saw it." });
export type FunctionError = z.infer<typeof FunctionErrorSchema>;

const InvalidFieldSchema = z
  .object({
    path: z.string().openapi({ description: "JSON Pointer to the field.", example: "/command/0" }),
    message: z.string().openapi({ description: "What was expected, and what came." }),
  })
  .openapi("InvalidField");

export const ProblemSchema = z
  .object({
    type: z.string().openapi({ example: "urn:distributed-pool:problem:at_capacity" }),
    title: z.string(),
    status: z.int(),
    detail: z
      .string()
      .openapi({ description: "What was expected and what came, for a person to read." }),
    code: ErrorCodeSchema,
    fields: z
      .array(InvalidFieldSchema)
      .optional()
      .openapi({ description: "With `invalid_request`: each field at fault." }),
    load: LoadSchema.optional().openapi({
      description: "With `at_capacity`: the member's load at that moment.",
    }),
    error: FunctionErrorSchema.optional().openapi({ description: "With `function_threw`." }),
  })
  .openapi("Problem", { description: "RFC 9457 problem details with a stable `code`." });
export type Problem = z.infer<typeof ProblemSchema>;

export type ProblemExtras = Pick<Problem, "fields" | "load" | "error">;

/** Builds the problem of a code. `detail` says what was expected and what came. */
export function problem(code: ErrorCode, detail: string, extras: ProblemExtras = {}): Problem {
  const { status, title } = ERRORS[code];
  return { type: `urn:distributed-pool:problem:${code}`, title, status, detail, code, ...extras };
}

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
  if (given.code === "function_threw" && given.error)
    return new FunctionThrewError({ ...given, error: given.error });
  return new PoolError(given);
}

/** What is left to say of an unknown thing that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "")
    return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
