/** Copies a child's output to streams of this process, no faster than they take it. */
import type { Writable } from "node:stream";
import { PoolError } from "../../../openapi/errors.ts";
import { isTerminal, type Progress, type TerminalEvent } from "../../../openapi/events.ts";
import { type NumberedEvent, outputBytes } from "./read-events.ts";

export interface OutputStreams {
  /** Default: stdout is dropped. */
  readonly stdout?: Writable | null;
  /** Default: stderr is dropped. */
  readonly stderr?: Writable | null;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * Reads a child's events to the end.
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
