/** The output of a child: its bytes, and the streams that receive them. */
import { PoolError } from "../../../openapi/errors.ts";
import { isTerminal, type Progress, type TerminalEvent } from "../../../openapi/events.ts";
import type { NumberedEvent } from "./read-events.ts";

/** Node's class for bytes, where there is one. It decodes faster. */
const { Buffer: NodeBuffer } = globalThis as {
  Buffer?: { from(text: string, encoding: "base64"): Uint8Array<ArrayBuffer> };
};
const utf8 = new TextEncoder();

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  if (NodeBuffer) return NodeBuffer.from(text, "base64");
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** A stream that output is written to, such as `process.stdout`. */
export interface OutputStream {
  readonly destroyed?: boolean;
  readonly writableEnded?: boolean;
  /** False when the stream wants no more before its event `drain`. */
  write(bytes: Uint8Array): boolean;
  on(event: "drain" | "close" | "error", listener: () => void): unknown;
  off(event: "drain" | "close" | "error", listener: () => void): unknown;
}

/** 1 MiB of stdout, and as much of stderr, is kept. */
export const MAX_OUTPUT_BYTES = 1_048_576;

/** A stream that keeps the first bytes of an output, and drops the rest. */
export class KeptOutput implements OutputStream {
  readonly #parts: Uint8Array[] = [];
  #room: number;
  #length = 0;
  /** Whether bytes were dropped. */
  truncated = false;

  constructor(maxBytes = MAX_OUTPUT_BYTES) {
    this.#room = maxBytes;
  }

  write(bytes: Uint8Array): true {
    const kept = bytes.subarray(0, this.#room);
    this.truncated ||= kept.length < bytes.length;
    this.#room -= kept.length;
    this.#length += kept.length;
    if (kept.length > 0) this.#parts.push(kept);
    return true;
  }

  /** The number of bytes that are kept. */
  get length(): number {
    return this.#length;
  }

  /** Keeps no more bytes. */
  close(): void {
    this.#room = 0;
  }

  /** It always has room, so it has no events. */
  on(): void {}
  off(): void {}

  get bytes(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** The bytes as UTF-8; U+FFFD replaces others. */
  get text(): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.bytes);
  }
}

/** The streams of this process; null in a browser. */
export function ownStreams(): { stdout: OutputStream | null; stderr: OutputStream | null } {
  const { process } = globalThis as {
    process?: { stdout?: OutputStream; stderr?: OutputStream };
  };
  return { stdout: process?.stdout ?? null, stderr: process?.stderr ?? null };
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
}): Uint8Array {
  return event.base64 === undefined ? utf8.encode(event.text) : fromBase64(event.base64);
}

/** Receives the output of a child. */
export interface OutputStreams {
  /** Receives the child's stdout; null drops it. Default for a `call`: `process.stdout`, if any. */
  readonly stdout?: OutputStream | null;
  /** Receives the child's stderr; null drops it. Default for a `call`: `process.stderr`, if any. */
  readonly stderr?: OutputStream | null;
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
  const detail = "the stream ended before its terminal event";
  throw PoolError.of("member_lost", detail, { admitted: true });
}

/** Writes, and waits until the stream has room again. A closed stream takes no bytes. */
async function write(stream: OutputStream | null, bytes: Uint8Array): Promise<void> {
  if (stream === null || stream.destroyed || stream.writableEnded || stream.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      for (const name of ["drain", "close", "error"] as const) stream.off(name, done);
      resolve();
    };
    for (const name of ["drain", "close", "error"] as const) stream.on(name, done);
  });
}
