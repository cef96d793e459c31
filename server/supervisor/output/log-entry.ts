/** One event of a child, as the log keeps it and as its readers get it. */
import { isUtf8 } from "node:buffer";
import type { EventType, PoolEvent } from "../../../openapi/events.ts";

export type OutputEncoding = "text" | "base64";
/** An event in the log. */
export class LogEntry {
  readonly id: number;
  readonly type: EventType;
  /** The output itself, as the child wrote it; undefined for other events. */
  readonly bytes: Buffer | undefined;
  /** Bytes of output in the log up to and with this entry, and those of stdout among them. */
  readonly to: number;
  readonly stdoutTo: number;
  readonly #make: () => PoolEvent;
  #frame: Buffer | undefined;
  #frameBytes: number | undefined;

  /** @param make gives the event, whenever it is asked for. */
  constructor(
    id: number,
    type: EventType,
    make: () => PoolEvent,
    { to, stdoutTo, bytes }: Pick<LogEntry, "to" | "stdoutTo" | "bytes">,
  ) {
    this.id = id;
    this.type = type;
    this.#make = make;
    this.to = to;
    this.stdoutTo = stdoutTo;
    this.bytes = bytes;
  }

  /** Bytes of output before this entry, and of stdout. */
  get from(): number {
    return this.to - (this.bytes?.length ?? 0);
  }

  get stdoutFrom(): number {
    return this.stdoutTo - (this.type === "stdout" ? (this.bytes?.length ?? 0) : 0);
  }

  get event(): PoolEvent {
    return this.#make();
  }

  /** The event as one line of JSON. */
  get data(): string {
    return JSON.stringify(this.event);
  }

  /** The event as it is sent to the readers of a stream. */
  get frame(): Buffer {
    if (this.#frame) return this.#frame;
    const made = Buffer.from(`event: ${this.type}\nid: ${this.id}\ndata: ${this.data}\n\n`);
    this.#frameBytes = made.length;
    return made;
  }

  /** Keeps the frame, for the other readers. */
  keepFrame(): void {
    this.#frame ??= this.frame;
  }

  /** Its share of the member's memory. */
  get heldBytes(): number {
    // What is no output is held as the event itself, a result's value with it.
    if (!this.bytes) this.#frameBytes ??= this.frame.length;
    return (this.bytes?.length ?? this.#frameBytes ?? 0) + (this.#frame?.length ?? 0);
  }
}

/** Output as an event. */
export function outputEvent(
  type: "stdout" | "stderr",
  bytes: Buffer,
  encoding: OutputEncoding,
): PoolEvent {
  if (encoding === "base64") return { type, base64: bytes.toString("base64") };
  const text = bytes.toString("utf8");
  return isUtf8(bytes) ? { type, text } : { type, text, lossy: true };
}
