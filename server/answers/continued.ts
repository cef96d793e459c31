/**
 * Requests that would start a child, and carry `Last-Event-ID`. Clients in the manner of
 * `EventSource` send a request again when its stream was cut, so such a request starts nothing. It
 * continues the stream of the child that its idempotency key has started, or is refused.
 */
import { type ErrorCode, PoolError } from "../../openapi/errors.ts";
import type { Form } from "./accept.ts";

const HOW =
  "continue by GET /children/{id}/events, {id} being that of the event placed and of the header " +
  "pool-child-id; or give each call an Idempotency-Key, by which the same POST continues";

function refusal(code: ErrorCode, expected: string): PoolError {
  const message = `${expected}: ${HOW}`;
  const fields = [{ path: "/last-event-id", message }];
  return PoolError.of(code, `/last-event-id: ${message}`, { fields });
}

/** A request that may continue a stream. */
interface Request {
  /** The value of `Last-Event-ID`; an empty one counts as none. */
  readonly lastEventId: string | undefined;
  /** The form of the answer; undefined for a placed child. */
  readonly form?: Form | undefined;
  /** Whether an idempotency key names the child. */
  readonly isKeyed: boolean;
}

/**
 * The id of the event behind which a request continues; undefined for one that starts a child.
 *
 * @throws {PoolError} `invalid_request` for an id without a key, with another form than a stream,
 *   or that is no number.
 */
export function continuedBehind({ lastEventId, form, isKeyed }: Request): number | undefined {
  if (!lastEventId) return undefined;
  if (form !== "stream" || !isKeyed)
    throw refusal("invalid_request", "expected none in a request that starts a child");
  if (!/^\d{1,15}$/.test(lastEventId))
    throw refusal("invalid_request", "expected the id of an event: a number");
  return Number(lastEventId);
}

/** The error for a stream to be continued whose key has started no child. */
export function nothingToContinue(): PoolError {
  return refusal("child_not_found", "the idempotency key has started no child, or has expired");
}
