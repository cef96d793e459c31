/** The table of error codes. Whatever knows codes (schemas, routes, pages) derives from it. */

export type ProblemStatus =
  | 400
  | 401
  | 403
  | 404
  | 405
  | 406
  | 408
  | 409
  | 410
  | 413
  | 415
  | 416
  | 422
  | 429
  | 500
  | 502
  | 503
  | 504;

interface ErrorEntry {
  readonly status: ProblemStatus;
  /** The problem's `title` on the wire. */
  readonly title: string;
  /** The meaning, in Markdown, for the table of codes on the contract's page. */
  readonly meaning: string;
  /** True when nothing was run, so the same request may be sent again after a pause. */
  readonly retryable: boolean;
}

/** Nothing was run under a code of these statuses. */
const RETRYABLE: ReadonlySet<ProblemStatus> = new Set([408, 429, 503]);

function entry(status: ProblemStatus, title: string, meaning: string): ErrorEntry {
  return { status, title, meaning, retryable: RETRYABLE.has(status) };
}

const TABLE = {
  invalid_request: entry(
    400,
    "The request is not valid",
    "The request or its child spec is not valid; `fields` names each field at fault.",
  ),
  unauthorized: entry(
    401,
    "A valid token is required",
    "The member requires a token, and the request carries no valid one. From an SDK that asks " +
      "Consul: Consul does.",
  ),
  forbidden: entry(
    403,
    "This is not allowed",
    "The token, the pool's operator or the browser guard does not allow the request. From an SDK " +
      "that asks Consul: the ACL token lacks a right, which `detail` names.",
  ),
  not_found: entry(
    404,
    "There is nothing at this path",
    "No operation has this path, or the child left no such artifact.",
  ),
  pool_not_found: entry(
    404,
    "There is no such pool",
    "Nobody registered a pool of this name; `detail` names the pools that exist.",
  ),
  child_not_found: entry(
    404,
    "There is no such child",
    "The child never existed, or the caller may not see it.",
  ),
  child_forgotten: entry(
    410,
    "The child has ended and is forgotten",
    "The child has ended, and its member has let go of its ending, its events and its artifacts.",
  ),
  slot_not_found: entry(
    404,
    "There is no such slot, or it is no longer held",
    "The slot was taken or given back, or its time is over.",
  ),
  task_not_found: entry(404, "There is no such task here", "No member has the task."),
  runtime_not_found: entry(404, "There is no such runtime here", "No member has the runtime."),
  method_not_allowed: entry(
    405,
    "The path has no such method",
    "The path has other methods; the header `Allow` names them.",
  ),
  not_acceptable: entry(
    406,
    "The answer has no such form",
    "The operation has no form of answer that `Accept` names.",
  ),
  unsupported_media_type: entry(
    415,
    "The operation takes no such body",
    "The operation takes no body of this `content-type`; the detail names those that it takes.",
  ),
  range_not_satisfiable: entry(
    416,
    "There is no such range",
    "The range is malformed, or begins behind the last byte; `Content-Range` has the length.",
  ),
  source_unknown: entry(
    409,
    "The source with this hash has to be sent along",
    "The member does not have the source of this hash. Nothing was run: send the source along.",
  ),
  idempotency_conflict: entry(
    409,
    "The key was used for another request",
    "The caller used this idempotency key for another child spec. Nothing was run for this one.",
  ),
  stdin_closed: entry(
    409,
    "The child takes no more input",
    "The child's standard input was never open, or has ended.",
  ),
  fetch_failed: entry(
    502,
    "A file could not be fetched",
    "The member could not fetch a file by its URL. The program was not started.",
  ),
  events_expired: entry(
    410,
    "These events are no longer kept",
    "The reader is too late: the events or bytes that it asks for are no longer kept. The child " +
      "itself is still known.",
  ),
  payload_too_large: entry(
    413,
    "The payload is too large",
    "The body, the headers, the child's output or its artifacts are too large.",
  ),
  request_timeout: entry(
    408,
    "The request did not arrive in time",
    "The request did not arrive in time.",
  ),
  too_many_requests: entry(
    429,
    "Too many requests",
    "The caller sends too many requests, or has as many streams, uploads or children as it may.",
  ),
  function_threw: entry(
    422,
    "The function threw",
    "The function threw; `error` has its name, message and stack, and the errors behind it.",
  ),
  at_capacity: entry(
    503,
    "This member is at capacity",
    "All slots of this member are taken; `load` says how many there are.",
  ),
  all_members_at_capacity: entry(
    503,
    "All members of the pool are at capacity",
    "All slots of all members of the pool are taken.",
  ),
  no_members_available: entry(
    503,
    "The pool has no member that answers",
    "The pool has registered members, but none that is healthy and answers.",
  ),
  queue_timeout: entry(503, "No slot came free in time", "No slot came free in `waitMs`."),
  draining: entry(
    503,
    "This member is draining",
    "The member is about to leave and admits no more children. With `admitted: true` the child " +
      "runs on at another member, and only its stream has ended; `child` says where it is.",
  ),
  overloaded: entry(
    503,
    "This member has no room for the request",
    "The member holds as many bytes, or has as many connections, as it may. Nothing was run.",
  ),
  idempotency_unavailable: entry(
    503,
    "The key cannot be looked up",
    "Consul does not answer, or does not let the member look up the idempotency key. Nothing was " +
      "run.",
  ),
  fenced: entry(
    503,
    "This member is fenced",
    "The member has lost touch with Consul for longer than its pool allows. Nothing was run.",
  ),
  worker_crashed: entry(
    502,
    "The child crashed",
    "The child crashed, or a signal ended its program.",
  ),
  out_of_memory: entry(
    502,
    "The child ran out of memory",
    "The child took more memory than its limit.",
  ),
  cancelled: entry(
    502,
    "The child was stopped",
    "The child was stopped: on request, with its caller's connection, by a drain or by a fence.",
  ),
  member_lost: entry(
    502,
    "The member was lost",
    "The child's member was lost or does not answer. `admitted` says whether it started the " +
      "child; whether that still runs is unknown.",
  ),
  deadline_exceeded: entry(
    504,
    "The deadline passed",
    "The deadline passed, or the child used up its processor time.",
  ),
  sandbox_unavailable: entry(
    500,
    "The sandbox could not start the child",
    "The sandbox could not start the child, or is weaker than the spec demands.",
  ),
  internal_error: entry(
    500,
    "The member made a mistake",
    "The member made a mistake; its log has the details.",
  ),
};

/** A stable code, for callers to match on. */
export type ErrorCode = keyof typeof TABLE;

export const ERRORS: Readonly<Record<ErrorCode, ErrorEntry>> = TABLE;

export const ERROR_CODES = Object.keys(TABLE) as ErrorCode[];

/** Seconds that a caller should pause before it sends a retryable request again (`Retry-After`). */
export const RETRY_AFTER_SECONDS = 1;
