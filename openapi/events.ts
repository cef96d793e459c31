/** The events of a child's stream, apart from their schemas. */
import type { PoolEvent } from "./types.gen.ts";

export type { PoolEvent, SlotEvent } from "./types.gen.ts";

/** The longest message of progress, in UTF-16 code units. */
export const MAX_PROGRESS_MESSAGE = 200;

export type EventType = PoolEvent["type"];
export type EventOf<T extends EventType> = Extract<PoolEvent, { type: T }>;
/** Progress of a child, as the child reports it. */
export type Progress = Omit<EventOf<"progress">, "type">;
export type TerminalEvent = EventOf<"result" | "failed">;

const TERMINAL: ReadonlySet<string> = new Set<EventType>(["result", "failed"]);

/** Whether a stream ends with an event of this type. */
export function isTerminalType(type: string): boolean {
  return TERMINAL.has(type);
}

/** Whether the event ends its stream. */
export function isTerminal(event: PoolEvent): event is TerminalEvent {
  return TERMINAL.has(event.type);
}

/** A silent stream carries a comment this often, so a reader can tell that it is not dead. */
export const HEARTBEAT_MS = 10_000;
