/** The framing of the events in the documents. */
import { PoolEventSchema, SlotEventSchema } from "../schemas/events.ts";
import { FeedEventSchema } from "../schemas/state/feed.ts";

const MESSAGES = {
  PoolEvent: PoolEventSchema,
  SlotEvent: SlotEventSchema,
  FeedEvent: FeedEventSchema,
} as const;

const NUMBER = {
  type: "string",
  description:
    "The number of the event in decimal, counted from 1; `Last-Event-ID` resumes after it. " +
    "Absent for events that are not kept.",
  pattern: "^[1-9][0-9]*$",
};

const PLACE = {
  type: "string",
  description:
    "A place in the feed of the member that gives it; `Last-Event-ID` resumes after it. Absent " +
    "for an event that another one follows at once.",
};

/**
 * The framing of the events, as JSON Schema: one server-sent event, before its data is parsed. Only
 * the documents have it.
 */
export const EVENT_MESSAGES = Object.fromEntries(
  Object.entries(MESSAGES).map(([name, { options }]) => {
    const types = options.map(({ shape }) => shape.type.value);
    return [name, messageOf(name, types)];
  }),
);

function messageOf(event: string, types: readonly string[]) {
  return {
    type: "object",
    description:
      `One server-sent event in UTF-8, whose \`data\` is a \`${event}\`. The stream has no ` +
      "`retry`. A comment line comes after 10 seconds of silence.",
    required: ["event", "data"],
    properties: {
      id: event === "FeedEvent" ? PLACE : NUMBER,
      event: {
        type: "string",
        description: "The `type` of the event. More types may come.",
        "x-extensible-enum": types,
      },
      data: {
        type: "string",
        description: "The event as one line of JSON, below 64 KiB.",
        contentMediaType: "application/json",
        contentSchema: { $ref: `#/components/schemas/${event}` },
      },
    },
    examples: [{ event: "queued", data: '{"type":"queued","position":1}' }],
  };
}
