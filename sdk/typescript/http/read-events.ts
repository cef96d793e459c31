/** Reads server-sent events as the events of the contract, and the output that is in them. */
import type { Writable } from "node:stream";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import {
  isTerminal,
  type PoolEvent,
  type Progress,
  type SlotEvent,
  type TerminalEvent,
} from "../../../openapi/events.ts";

/** 128 Mi characters: more than a result of 16 MiB in which every byte is escaped. */
const MAX_EVENT_CHARS = 128 * 1024 * 1024;

/** An event with its number in the child's log, from 1 on; a `queued` event has none. */
export type NumberedEvent = PoolEvent & { readonly id?: number };

/**
 * The events in `bytes`, up to and including the terminal one. Leaving the loop early destroys the
 * source.
 *
 * @throws {PoolError} `member_lost` when the stream is cut before its terminal event.
 */
export async function* readEvents(bytes: AsyncIterable<Uint8Array>) {
  try {
    for await (const { data, id } of frames(bytes)) {
      const event: NumberedEvent = {
        ...(JSON.parse(data) as PoolEvent),
        ...(id !== undefined && { id: Number(id) }),
      };
      yield event;
      if (isTerminal(event)) return;
    }
  } catch (error) {
    if ((error as Error)?.name === "AbortError") throw error;
    throw PoolError.of(
      "member_lost",
      `the stream was cut before its terminal event: ${messageOf(error)}`,
      { cause: error },
    );
  }
  throw PoolError.of("member_lost", "the stream ended before its terminal event");
}

/** The events of a wait for a slot. The slot is held until the stream ends. */
export async function* readSlotEvents(bytes: AsyncIterable<Uint8Array>) {
  for await (const { data } of frames(bytes)) yield JSON.parse(data) as SlotEvent;
}

async function* frames(bytes: AsyncIterable<Uint8Array>) {
  let ready: EventSourceMessage[] = [];
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARS,
    onEvent: (message) => ready.push(message),
    onError: (error) => {
      throw error;
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

/**
 * The bytes of a `stdout` or `stderr` event, whichever encoding it has.
 *
 * @example
 * for await (const event of pools.stream("pipeline", { command: ["date"] }))
 *   if (event.type === "stdout") process.stdout.write(outputBytes(event));
 */
export function outputBytes(event: {
  text?: string | undefined;
  base64?: string | undefined;
}): Buffer {
  return event.base64 === undefined
    ? Buffer.from(event.text ?? "")
    : Buffer.from(event.base64, "base64");
}

/** Receives the output of a child. */
export interface OutputStreams {
  /** Receives the child's stdout; null drops it. Default for a `call`: `process.stdout`. */
  readonly stdout?: Writable | null;
  /** Receives the child's stderr; null drops it. Default for a `call`: `process.stderr`. */
  readonly stderr?: Writable | null;
  /** Called with the progress of a `call`. An error that it throws ends the wait. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * Reads a child's events to the end. By default it drops the output.
 *
 * @returns the terminal event.
 * @throws {PoolError} `member_lost` when the events end without one.
 */
export async function copyOutput(
  events: AsyncIterable<NumberedEvent>,
  { stdout = null, stderr = null, onProgress }: OutputStreams = {},
): Promise<TerminalEvent> {
  for await (const event of events) {
    if (event.type === "stdout") await write(stdout, outputBytes(event));
    else if (event.type === "stderr") await write(stderr, outputBytes(event));
    else if (event.type === "progress") {
      const { type: _, id: _id, ...progress } = event;
      onProgress?.(progress);
    } else if (isTerminal(event)) return event;
  }
  throw PoolError.of("member_lost", "the stream ended before its terminal event");
}

/** Writes, and waits until the stream has room again. A closed stream takes no bytes. */
async function write(stream: Writable | null, bytes: Buffer): Promise<void> {
  if (stream === null || stream.destroyed || stream.writableEnded || stream.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done).off("error", done);
      resolve();
    };
    stream.on("drain", done).on("close", done).on("error", done);
  });
}
