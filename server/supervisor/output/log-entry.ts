/** One event of a child, as the log keeps it and as its readers get it. */
import { isUtf8 } from "node:buffer";
import { type EventType, isTerminalType, type PoolEvent } from "../../../openapi/events.ts";
import { jsonPieces } from "../../../sdk/typescript/http/raw-json.ts";
import { eventFrame, textFrame } from "../../http/event-frame.ts";

export type OutputEncoding = "text" | "base64";

/** 4 KiB: the first and the last event of a child are written as JSON once, up to this size. */
const MAX_KEPT_TEXT = 4_096;

/** An event in the log. Offsets count bytes of the child's output. */
export class LogEntry {
  readonly id: number;
  readonly type: EventType;
  /** The output itself, as the child wrote it; undefined for other events. */
  readonly bytes: Buffer | undefined;
  /** The offset behind this entry in all output. */
  readonly to: number;
  /** The offset behind this entry in stdout. */
  readonly stdoutTo: number;
  readonly #make: () => PoolEvent;
  #frame: Buffer | undefined;
  #text: string | undefined;
  #eventBytes: number | undefined;

  /** @param make gives the event each time it is read: output is held once, as bytes. */
  constructor(
    { id, type, bytes, to, stdoutTo }: Pick<LogEntry, "id" | "type" | "bytes" | "to" | "stdoutTo">,
    make: () => PoolEvent,
  ) {
    this.id = id;
    this.type = type;
    this.bytes = bytes;
    this.to = to;
    this.stdoutTo = stdoutTo;
    this.#make = make;
  }

  /** The offset of this entry in all output. */
  get from(): number {
    return this.to - (this.bytes?.length ?? 0);
  }

  /** The offset of this entry in stdout. */
  get stdoutFrom(): number {
    return this.stdoutTo - (this.type === "stdout" ? (this.bytes?.length ?? 0) : 0);
  }

  get event(): PoolEvent {
    return this.#make();
  }

  /** The event as a frame of a server-sent stream. */
  get frame(): Buffer {
    if (this.#frame) return this.#frame;
    const text = this.#text;
    this.#text = undefined;
    return text === undefined
      ? eventFrame(this.event, this.id)
      : textFrame(this.type, text, this.id);
  }

  /** Keeps the frame for further readers. */
  keepFrame(): void {
    this.#frame ??= this.frame;
  }

  /** Bytes of memory that the entry holds. */
  get heldBytes(): number {
    // An entry without output holds its event, such as a result with its value.
    if (!this.bytes) this.#eventBytes ??= this.#countEvent();
    return this.bytes?.length ?? this.#eventBytes ?? 0;
  }

  /** The bytes of the event as JSON. The text of a small one waits for its first reader. */
  #countEvent(): number {
    const pieces = jsonPieces(this.event);
    const [text] = pieces;
    const isSent = this.type === "placed" || isTerminalType(this.type);
    if (isSent && typeof text === "string" && pieces.length === 1 && text.length <= MAX_KEPT_TEXT)
      this.#text = text;
    return pieces.reduce((sum, { length }) => sum + length, 0);
  }
}

/** Output as an event. As text, bytes that are not UTF-8 are replaced, and the event says so. */
export function outputEvent(
  type: "stdout" | "stderr",
  bytes: Buffer,
  encoding: OutputEncoding,
): PoolEvent {
  if (encoding === "base64") return { type, base64: bytes.toString("base64") };
  const text = bytes.toString("utf8");
  return isUtf8(bytes) ? { type, text } : { type, text, lossy: true };
}
