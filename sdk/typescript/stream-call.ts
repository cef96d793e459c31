/** One call as a stream of events, with its input and its files. */
import type { Readable } from "node:stream";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { isTerminal } from "../../openapi/events.ts";
import type { Connection } from "./connection.ts";
import { type SpecWithFiles, splitFiles, splitInput } from "./files.ts";
import type { NumberedEvent } from "./http/read-events.ts";
import { resumeEvents } from "./http/resume.ts";
import { sendStdin, watchSource } from "./http/send-stdin.ts";
import { withValues } from "./values.ts";

export interface StreamCallOptions {
  readonly spec: SpecWithFiles;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Places a call and yields its events. Leaving the loop closes the connection.
 *
 * @throws {PoolError} as `DistributedPool.call` does, but for the codes of a `failed` event.
 */
export async function* streamCall(
  { client, access }: Connection,
  pool: string,
  { spec, signal: callerSignal }: StreamCallOptions,
): AsyncGenerator<NumberedEvent, void, undefined> {
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
    const positions = new Latest<number>();
    const onPosition = (position: number) => positions.push(position);
    const { parts } = request;
    const answer = access
      .call(pool, request.spec, { signal, onPosition, parts })
      .finally(() => positions.end());
    answer.catch(() => {});
    for await (const position of positions) yield { type: "queued", position };
    for await (const event of withValues(resumeEvents(await answer, { client, access, signal }))) {
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

/** Pushed values as an iteration. It holds one value: a new one replaces one that was not read. */
class Latest<T> implements AsyncIterable<T> {
  #last: { readonly value: T } | undefined;
  #ended = false;
  #wake: () => void = () => {};

  push(value: T): void {
    this.#last = { value };
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const last = this.#last;
      this.#last = undefined;
      if (last) yield last.value;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
