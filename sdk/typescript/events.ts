/** Reads a stream of server-sent events as the events of the contract. */
import { createParser } from "eventsource-parser";
import { isTerminal, type PoolEvent } from "../../openapi/events.ts";
import { messageOf, PoolError } from "./errors.ts";

/** No event of the contract is longer: a result of 16 MiB, each of its bytes escaped, and its frame. */
const MAX_EVENT_CHARS = 128 * 1024 * 1024;

/** An event with its number in the child's log; `queued` events have none. */
export type NumberedEvent = PoolEvent & { readonly id?: number };

/**
 * The events in `bytes`, up to and with the terminal one. Leaving the loop early destroys the source.
 *
 * @throws {PoolError} `member_lost` when the stream is cut before its terminal event.
 */
export async function* readEvents(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<NumberedEvent, void, undefined> {
  let ready: NumberedEvent[] = [];
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARS,
    onEvent: ({ data, id }) => ready.push({ ...(JSON.parse(data) as PoolEvent), ...(id === undefined ? {} : { id: Number(id) }) }),
    onError: (error) => {
      throw error;
    },
  });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of bytes) {
      parser.feed(decoder.decode(chunk, { stream: true }));
      const events = ready;
      ready = [];
      for (const event of events) {
        yield event;
        if (isTerminal(event)) return;
      }
    }
  } catch (error) {
    if ((error as Error)?.name === "AbortError") throw error;
    throw PoolError.of("member_lost", `the stream was cut before its terminal event: ${messageOf(error)}`, { cause: error });
  }
  throw PoolError.of("member_lost", "the stream ended before its terminal event");
}

/** The bytes of an output event. */
export function outputBytes(event: { text?: string | undefined; base64?: string | undefined }): Buffer {
  return event.base64 === undefined ? Buffer.from(event.text ?? "") : Buffer.from(event.base64, "base64");
}
