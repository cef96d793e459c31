/** Reads server-sent events as the events of the contract, and the output that is in them. */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import {
  type EventType,
  isTerminal,
  type PoolEvent,
  type SlotEvent,
} from "../../../openapi/events.ts";

/** 128 Mi characters: more than a result of 16 MiB in which every byte is escaped. */
const MAX_EVENT_CHARS = 128 * 1024 * 1024;

/** The id of an event. A server that is no member may send anything. */
const ID = /^\d{1,15}$/;

/** The events that this version knows. It skips those of a newer member. */
const KNOWN: Readonly<Record<EventType | SlotEvent["type"], true>> = {
  queued: true,
  placed: true,
  stdout: true,
  stderr: true,
  progress: true,
  gap: true,
  result: true,
  failed: true,
  granted: true,
};
const isKnown = ({ type }: { readonly type: string }) => Object.hasOwn(KNOWN, type);

/** Whether an event has what its reader needs. A server that is no member may send anything. */
function isWhole(event: PoolEvent): boolean {
  // A gateway of another version may not have asked for long lines.
  if ("partial" in event) return false;
  if (event.type === "placed") return typeof event.child?.id === "string";
  return event.type !== "failed" || typeof event.problem?.code === "string";
}

/** An event with its number in the child's log, from 1 on; a `queued` event has none. */
export type NumberedEvent = PoolEvent & { readonly id?: number };

/** Parses the data of an event. */
export type ParseEvent = (data: string) => PoolEvent | Promise<PoolEvent>;

/**
 * The events in `bytes`, up to and including the terminal one, without those that this version does
 * not know. Leaving the loop early destroys the source.
 *
 * @param parse default `JSON.parse`.
 * @throws {PoolError} `member_lost` when the stream is cut before its terminal event.
 */
export async function* readEvents(
  bytes: AsyncIterable<Uint8Array>,
  parse: ParseEvent = (data) => JSON.parse(data) as PoolEvent,
) {
  // The events of a child have ids, and those of a wait have none.
  let admitted: true | "unknown" = "unknown";
  try {
    for await (const { data, id: text } of frames(bytes)) {
      const id = text !== undefined && ID.test(text) ? Number(text) : undefined;
      const event: NumberedEvent = { ...(await parse(data)), ...(id !== undefined && { id }) };
      if (id !== undefined) admitted = true;
      if (!isKnown(event)) continue;
      if (!isWhole(event))
        throw new Error(`expected an event of the contract; got ${data.slice(0, 200)}`);
      yield event;
      if (isTerminal(event)) return;
    }
  } catch (error) {
    throw PoolError.of(
      "member_lost",
      `the stream was cut before its terminal event: ${messageOf(error)}`,
      { admitted, cause: error },
    );
  }
  throw PoolError.of("member_lost", "the stream ended before its terminal event", { admitted });
}

/** The events of a wait for a slot. The slot is held until the stream ends. */
export async function* readSlotEvents(bytes: AsyncIterable<Uint8Array>) {
  for await (const { data } of frames(bytes)) {
    const event = JSON.parse(data) as SlotEvent;
    if (isKnown(event)) yield event;
  }
}

/** The frames of server-sent events. */
export async function* frames(bytes: AsyncIterable<Uint8Array>) {
  let ready: EventSourceMessage[] = [];
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARS,
    onEvent: (message) => ready.push(message),
    // The grammar of streams says to ignore other faults, such as an unknown field.
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded") throw error;
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of bytes) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    const messages = ready;
    ready = [];
    yield* messages;
  }
}

/**
 * The events of a call whose caller needs all of the output.
 *
 * @throws {PoolError} `events_expired` instead of a result when output was lost, because a cut
 *   connection was resumed too late.
 */
export async function* requireWhole<E extends PoolEvent>(events: AsyncIterable<E>) {
  let droppedBytes = 0;
  for await (const event of events) {
    if (event.type === "gap") droppedBytes += event.droppedBytes;
    if (event.type === "result" && droppedBytes > 0)
      throw PoolError.of(
        "events_expired",
        `the child has ended, and ${droppedBytes} bytes of its output ` +
          "were lost when the connection was cut",
      );
    yield event;
  }
}
