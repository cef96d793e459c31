/** One call as a stream of events, with its input and its files. */
import type { Readable } from "node:stream";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { isTerminal } from "../../openapi/events.ts";
import { Retries, retriedUntilPlaced } from "./calls/retry.ts";
import type { Connection } from "./connection.ts";
import { type SpecWithFiles, splitFiles, splitInput } from "./files.ts";
import type { Answer } from "./http/client.ts";
import type { NumberedEvent } from "./http/read-events.ts";
import { resumeEvents } from "./http/resume.ts";
import { sendStdin, watchSource } from "./http/send-stdin.ts";
import { withValues } from "./values.ts";

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
 */
export async function* streamCall(
  { client, access }: Connection,
  pool: string,
  { spec, signal: callerSignal, retries }: StreamedCall,
) {
  const leaving = new AbortController();
  const signal = callerSignal ? AbortSignal.any([callerSignal, leaving.signal]) : leaving.signal;
  /** The reason why the child lacks input. It takes precedence over the errors that follow. */
  let inputError: PoolError | undefined;
  let source: Readable | undefined;
  let ended = false;
  try {
    const split = await splitInput(spec);
    source = split.source;
    const input =
      source &&
      watchSource(source, (why) => {
        inputError = PoolError.of(
          "cancelled",
          `stdin: ${messageOf(why)}; a child cannot go on without the rest of its input`,
          { cause: why },
        );
        leaving.abort();
      });
    const request = await splitFiles(split.spec);
    const tries = new Retries({ ...request.spec, retries, signal });
    const open = async function* () {
      const answer = yield* whileQueued((onPosition) =>
        access.call(
          pool,
          { ...request.spec, ...tries.forSpec },
          { signal, onPosition, parts: request.parts },
        ),
      );
      yield* withValues(resumeEvents(answer, { client, access, signal }));
    };
    for await (const event of retriedUntilPlaced(tries, open)) {
      if (event.type === "placed" && input)
        sendStdin(access.childUrl(event.child.id), input, { client, ended: () => ended }).catch(
          (error: PoolError) => {
            inputError ??= error;
          },
        );
      ended = isTerminal(event);
      // A child without the rest of its input was stopped for that reason.
      if (event.type === "failed" && event.problem.code === "cancelled" && inputError)
        throw inputError;
      yield event;
    }
  } catch (error) {
    throw inputError ?? error;
  } finally {
    // A caller that leaves while it waits gives up its queues.
    leaving.abort();
    source?.destroy();
  }
}

/**
 * Yields the positions in the queue until the call is placed, and returns the answer. A position
 * that was not read is replaced by the next one.
 */
async function* whileQueued(
  place: (onPosition: (position: number) => void) => Promise<Answer>,
): AsyncGenerator<NumberedEvent, Answer, undefined> {
  let position = 0;
  let moved = Promise.withResolvers<undefined>();
  const placing = place((next) => {
    position = next;
    moved.resolve(undefined);
  });
  for (;;) {
    const answer = await Promise.race([moved.promise, placing]);
    if (answer) return answer;
    moved = Promise.withResolvers();
    yield { type: "queued", position };
  }
}
