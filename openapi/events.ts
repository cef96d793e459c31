/** The events of a child's stream. `event:` equals `data.type`, `id:` counts up from 1, and exactly one event is terminal. */
import { z } from "@hono/zod-openapi";
import { ProblemSchema } from "./errors.ts";
import { ChildReferenceSchema, endingFields, SlotSchema } from "./resources.ts";

export const QueuedEventSchema = z
  .object({
    type: z.literal("queued"),
    position: z.int().min(1).openapi({ description: "1 for the next one to be served." }),
  })
  .openapi("QueuedEvent", {
    description: "Waits for a slot. Comes before the child exists and carries no id.",
  });

export const PlacedEventSchema = z
  .object({ type: z.literal("placed"), child: ChildReferenceSchema })
  .openapi("PlacedEvent", {
    description: "The child has a slot. Always the first event after any `queued`.",
  });

const outputFields = {
  text: z.string().optional(),
  base64: z.string().optional(),
  lossy: z
    .literal(true)
    .optional()
    .openapi({ description: "With `text`: bytes that were no UTF-8 stand in it as U+FFFD." }),
};
const outputDocs = { description: "Output, as `text`, or as `base64` when the spec asked for it." };

export const StdoutEventSchema = z
  .object({ type: z.literal("stdout"), ...outputFields })
  .openapi("StdoutEvent", outputDocs);
export const StderrEventSchema = z
  .object({ type: z.literal("stderr"), ...outputFields })
  .openapi("StderrEvent", outputDocs);

/** A message is not longer, in UTF-16 code units. */
export const MAX_PROGRESS_MESSAGE = 200;

export const ProgressEventSchema = z
  .object({
    type: z.literal("progress"),
    done: z.number().min(0).openapi({
      description:
        "How much is done, in a unit of the child's own. It may go back, and beyond `total` where that was a guess.",
    }),
    total: z.number().min(0).optional().openapi({
      description:
        "How much there is in all, in the same unit; absent where the child did not say.",
    }),
    message: z.string().max(MAX_PROGRESS_MESSAGE).optional().openapi({
      description:
        "What it is about, for people: one line without control characters. The child wrote it.",
    }),
  })
  .openapi("ProgressEvent", {
    description:
      "How far the child has come, as it says itself: a command by lines such as `3/10 words` on its descriptor 3, a function by its context. At most five a second, fewer after some minutes: of what comes faster the latest, and always the last before the end.",
  });

export const GapEventSchema = z
  .object({ type: z.literal("gap"), droppedBytes: z.int() })
  .openapi("GapEvent", {
    description: "A detached reader came too late: so many bytes of output are no longer kept.",
  });

export const ResultEventSchema = z
  .object({ type: z.literal("result"), ...endingFields })
  .openapi("ResultEvent", { description: "Terminal: the child ended by itself." });

export const FailedEventSchema = z
  .object({
    type: z.literal("failed"),
    problem: ProblemSchema,
    ...z.object(endingFields).partial().shape,
  })
  .openapi("FailedEvent", { description: "Terminal: the child, or its placement, failed." });

export const PoolEventSchema = z
  .discriminatedUnion("type", [
    QueuedEventSchema,
    PlacedEventSchema,
    StdoutEventSchema,
    StderrEventSchema,
    ProgressEventSchema,
    GapEventSchema,
    ResultEventSchema,
    FailedEventSchema,
  ])
  .openapi("PoolEvent");

export const GrantedEventSchema = z
  .object({ type: z.literal("granted"), slot: SlotSchema })
  .openapi("GrantedEvent", {
    description: "Terminal for the wait: the slot is held until `heldUntil`.",
  });

export const SlotEventSchema = z
  .discriminatedUnion("type", [QueuedEventSchema, GrantedEventSchema, FailedEventSchema])
  .openapi("SlotEvent", {
    description: "The events of a wait for a slot. They carry no id.",
  });
export type SlotEvent = z.infer<typeof SlotEventSchema>;

export type PoolEvent = z.infer<typeof PoolEventSchema>;
export type EventType = PoolEvent["type"];
export type EventOf<T extends EventType> = Extract<PoolEvent, { type: T }>;
/** How far a child has come, as it says itself. */
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

/** A comment is sent on a silent stream this often, so that a reader can tell silence from a lost connection. */
export const HEARTBEAT_MS = 10_000;
