/** One call as a stream of events, with its input and its files. */
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { isTerminal } from "../../openapi/events.ts";
import { MAX_DEADLINE_MS } from "../../openapi/limits.ts";
import { Retries, retriedUntilPlaced } from "./calls/retry.ts";
import type { Connection } from "./connection.ts";
import { type SpecWithFiles, splitFiles, splitInput } from "./files.ts";
import type { Answer } from "./http/client.ts";
import type { NumberedEvent } from "./http/read-events.ts";
import { type ResumeOptions, resumeEvents } from "./http/resume.ts";
import { sendStdin } from "./http/send-stdin.ts";
import { Source } from "./http/source.ts";
import { activeTrace } from "./trace/trace-context.ts";
import { withValues } from "./values.ts";

/** 30 seconds after its deadline, a call whose terminal event did not come is lost. */
const LATE_MS = 30_000;

interface StreamedCall {
  readonly spec: SpecWithFiles;
  readonly signal: AbortSignal | undefined;
  /** Further tries for what certainly started nothing. */
  readonly retries: number | undefined;
}

/**
 * Places a call and yields its events. Leaving the loop closes the connection.
 *
 * @throws {PoolError} as `DistributedPool.call` does, but for the codes of a `failed` event.
 * @throws the reason of the signal.
 */
export async function* streamCall(
  { client, access, localFiles }: Connection<unknown>,
  pool: string,
  { spec, signal: callerSignal, retries }: StreamedCall,
) {
  callerSignal?.throwIfAborted();
  const [trace, leaving] = [activeTrace(), new AbortController()];
  const signal = callerSignal ? AbortSignal.any([callerSignal, leaving.signal]) : leaving.signal;
  /** The reason why the call cannot go on. It takes precedence over the errors that follow. */
  let fault: unknown;
  const leave = (why: unknown) => {
    fault ??= why;
    leaving.abort();
  };
  const { deadlineMs = MAX_DEADLINE_MS } = spec;
  // The member refuses a deadline that is no number from 1 on, or that no timer can hold.
  const lateMs = Math.min(Math.max(deadlineMs, 0) || 0, MAX_DEADLINE_MS) + LATE_MS;
  const late = setTimeout(() => leave(overdue(deadlineMs, isPlaced)), lateMs);
  let input: Source | undefined;
  let isPlaced = false;
  let ended = false;
  try {
    const split = await splitInput(spec, localFiles);
    input = split.source && new Source(split.source, (why) => leave(withoutInput(why)));
    // An input of one body ends when the body breaks off.
    const open = { open: true as const, ...(client.streamsBodies && { once: true as const }) };
    const request = await splitFiles(
      input ? { ...split.spec, stdin: open } : split.spec,
      localFiles,
    );
    const tries = new Retries({ ...request.spec, retries, signal });
    const oneTry = () => {
      const { parts } = request;
      const rest = { ...request.spec, ...tries.forSpec };
      const place = (onPosition: (position: number) => void) =>
        access.call(pool, rest, { signal, onPosition, parts, trace });
      return eventsOfTry(place, { client, access, signal });
    };
    for await (const event of retriedUntilPlaced(tries, oneTry)) {
      if (event.type === "placed" && input) {
        const sending = { client, ended: () => ended, signal };
        sendStdin(access.childUrl(event.child.id), input, sending).catch((error: unknown) => {
          fault ??= error;
        });
      }
      isPlaced ||= event.type === "placed";
      ended = isTerminal(event);
      // A child without the rest of its input was stopped for that reason.
      if (event.type === "failed" && event.problem.code === "cancelled" && fault) throw fault;
      yield event;
    }
  } catch (error) {
    throw callerSignal?.aborted ? callerSignal.reason : (fault ?? error);
  } finally {
    clearTimeout(late);
    // A caller that leaves while it waits gives up its queues.
    leaving.abort();
    input?.destroy();
  }
}

const withoutInput = (why: unknown) =>
  PoolError.of(
    "cancelled",
    `stdin: ${messageOf(why)}; a child cannot go on without the rest of its input`,
    { cause: why },
  );

/** The error of a stream that goes on without an end, such as one of comments alone. */
const overdue = (deadlineMs: number, isPlaced: boolean) =>
  PoolError.of(
    "member_lost",
    `no terminal event came in ${LATE_MS} ms after the deadline of ${deadlineMs} ms`,
    { admitted: isPlaced || "unknown" },
  );

/** The events of one try to be placed and, once it is, of the child. */
async function* eventsOfTry(place: Place, options: ResumeOptions) {
  const answer = yield* whileQueued(place);
  yield* withValues(resumeEvents(answer, options));
}

type Place = (onPosition: (position: number) => void) => Promise<Answer>;

/**
 * Yields the positions in the queue until the call is placed, and returns the answer. A position
 * that was not read is replaced by the next one.
 */
async function* whileQueued(place: Place): AsyncGenerator<NumberedEvent, Answer, undefined> {
  let position = 0;
  let move = () => {};
  const nextMove = () =>
    new Promise<undefined>((resolve) => {
      move = () => resolve(undefined);
    });
  let moved = nextMove();
  const placing = place((next) => {
    position = next;
    move();
  });
  for (;;) {
    const answer = await Promise.race([moved, placing]);
    if (answer) return answer;
    moved = nextMove();
    yield { type: "queued", position };
  }
}
