/** The policy of retries: a call is made again only where it cannot start a second child. */
import { errorFor, PoolError } from "../../../openapi/errors.ts";
import type { NumberedEvent } from "../http/read-events.ts";
import { Deadline } from "../time/deadline.ts";
import { pause } from "../time/pause.ts";

/** The first pause takes up to 100 ms; the limit of each further pause is twice as high. */
const FIRST_PAUSE_MS = 100;
/** No pause takes more than 10 seconds, apart from what `Retry-After` asks for. */
const MAX_PAUSE_MS = 10_000;
/**
 * 3 tries behind a gateway that drains, if the caller asks for fewer: at its URL another member may
 * answer.
 */
const MIN_DRAINING = 3;
/** A member that asks for more than 1 minute is not asked again. */
const MAX_RETRY_AFTER_MS = 60_000;

interface RetryOptions {
  /** The number of further tries. Default 0. */
  readonly retries?: number | undefined;
  /** Milliseconds for all tries and pauses together. Default: no deadline. */
  readonly deadlineMs?: number | undefined;
  /** The key of the call. With it, a call whose outcome is unknown is made again too. */
  readonly idempotencyKey?: string | undefined;
  /** Ends a pause. */
  readonly signal?: AbortSignal | undefined;
}

/** The tries of one call. */
export class Retries {
  readonly #max: number;
  readonly #deadline: Deadline;
  readonly #signal: AbortSignal | undefined;
  readonly #isKeyed: boolean;
  #made = 0;
  /** Whether a try may have started the child. */
  #mayRun = false;

  /** @throws {PoolError} `invalid_request` for a number of retries that makes no sense. */
  constructor({ retries = 0, deadlineMs, idempotencyKey, signal }: RetryOptions) {
    this.#isKeyed = idempotencyKey !== undefined;
    this.#max = wholeNumber("retries", retries, 0);
    this.#deadline = new Deadline(deadlineMs);
    this.#signal = signal;
  }

  /** The rest of the deadline, as a key of the spec; no key for the first try. */
  get forSpec(): { deadlineMs?: number } {
    return this.#made === 0 ? {} : this.#deadline.forSpec;
  }

  /** Whether the call may be made again: it starts no second child, and tries are left. */
  allow(error: unknown): error is PoolError {
    if (!(error instanceof PoolError)) return false;
    const { code, retryable } = error;
    if (!retryable && !(this.#isKeyed && code === "member_lost")) return false;
    return this.#made < (code === "draining" ? Math.max(this.#max, MIN_DRAINING) : this.#max);
  }

  /** The error of the last try. A refusal does not say that the tries before it ran nothing. */
  known<E>(error: E): E | PoolError {
    if (!this.#mayRun || !(error instanceof PoolError) || error.admitted !== false) return error;
    const { problem, retryAfter } = error;
    return errorFor({ ...problem, admitted: "unknown" }, { retryAfter, cause: error });
  }

  /**
   * Pauses before the next try: a random time (full jitter) behind the time of `Retry-After`.
   *
   * @throws the error itself when no try is left, or the deadline would pass; the reason of the
   *   signal.
   */
  async pauseAfter(error: unknown): Promise<void> {
    if (!this.allow(error)) throw this.known(error);
    const { retryAfter = 0, admitted } = error;
    const longest = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#made);
    const ms = retryAfter + Math.random() * longest;
    if (retryAfter > MAX_RETRY_AFTER_MS || ms >= this.#deadline.remainingMs)
      throw this.known(error);
    this.#made += 1;
    this.#mayRun ||= admitted !== false;
    await pause(ms, this.#signal);
  }
}

/** Makes a request, and makes it again as the policy allows. */
export async function retried<T>(retries: Retries, request: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      await retries.pauseAfter(error);
    }
  }
}

/** The events of a call, which is made again as the policy allows until it is placed. */
export async function* retriedUntilPlaced(
  retries: Retries,
  open: () => AsyncIterable<NumberedEvent>,
): AsyncGenerator<NumberedEvent, void, undefined> {
  for (let isPlaced = false; ; ) {
    try {
      for await (const event of open()) {
        isPlaced ||= event.type === "placed";
        if (event.type === "failed" && !isPlaced) {
          const error = errorFor(event.problem);
          if (retries.allow(error)) throw error;
          yield { ...event, problem: retries.known(error).problem };
        } else yield event;
      }
      return;
    } catch (error) {
      if (isPlaced) throw error;
      await retries.pauseAfter(error);
    }
  }
}

/**
 * The value of an option that is a whole number.
 *
 * @throws {PoolError} `invalid_request` for another value.
 */
export function wholeNumber(name: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw PoolError.of(
    "invalid_request",
    `${name}: expected a whole number of at least ${min}; got ${String(value)}`,
  );
}
