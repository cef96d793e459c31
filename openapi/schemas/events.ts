/**
 * The events of a child's stream: `event:` equals `data.type`, `id:` counts up from 1, and exactly
 * one event is terminal.
 */
import { z } from "@hono/zod-openapi";
import { MAX_PROGRESS_MESSAGE } from "../events.ts";
import { endingFields, RESULT_EXAMPLE } from "./endings.ts";
import { PROBLEM_EXAMPLE, ProblemSchema } from "./problem.ts";
import { ChildReferenceSchema, REFERENCE_EXAMPLE, SlotSchema } from "./resources.ts";

/** The type of an event, which its other fields follow. */
const typed = <T extends string>(type: T) =>
  z.literal(type).openapi({ description: `The type of the event: \`${type}\`.` });

export const QueuedEventSchema = z
  .object({
    type: typed("queued"),
    position: z.int().min(1).describe("1 for the next caller to be served."),
    count: z
      .int()
      .min(0)
      .optional()
      .describe(
        "Slots that a request with `count` still waits for: fewer than it asked for where the " +
          "queue is full. Calls have no such field.",
      ),
  })
  .openapi("QueuedEvent", {
    description: "The caller waits for a slot. There is no child yet, and the event carries no id.",
    example: { type: "queued", position: 1 },
  });

export const PlacedEventSchema = z
  .object({ type: typed("placed"), child: ChildReferenceSchema })
  .openapi("PlacedEvent", {
    description: "The child has a slot. Always the first event with an id.",
    example: { type: "placed", child: REFERENCE_EXAMPLE },
  });

const outputFields = {
  text: z.string().optional().describe("The output as text; absent for base64."),
  base64: z.string().optional().describe("The output in base64; absent for text."),
  lossy: z
    .boolean()
    .optional()
    .describe(
      "True when U+FFFD replaces bytes of `text` that were not UTF-8. Default false: `text` is " +
        "all of it.",
    ),
};
const outputDocs = {
  description: "Output of the child: `text`, or `base64` when the spec asks for it.",
};

export const StdoutEventSchema = z
  .object({ type: typed("stdout"), ...outputFields })
  .openapi("StdoutEvent", { ...outputDocs, example: { type: "stdout", text: "Linux\n" } });
export const StderrEventSchema = z
  .object({ type: typed("stderr"), ...outputFields })
  .openapi("StderrEvent", { ...outputDocs, example: { type: "stderr", text: "no such file\n" } });

const progressFields = {
  done: z
    .number()
    .min(0)
    .describe(
      "The amount that is done, in a unit that the child chooses. It may decrease, and may " +
        "exceed a `total` that was a guess.",
    ),
  total: z
    .number()
    .min(0)
    .optional()
    .describe("The whole amount, in the same unit; absent when the child did not report it."),
  message: z
    .string()
    .max(MAX_PROGRESS_MESSAGE)
    .optional()
    .describe(
      "One line for people, without control characters. The child wrote it. Absent when it did " +
        "not.",
    ),
};

export const ProgressSchema = z.object(progressFields).openapi("Progress", {
  description: "Progress of a child, as the child reports it.",
  example: { done: 3, total: 10, message: "words" },
});

export const ProgressEventSchema = z
  .object({ type: typed("progress"), ...progressFields })
  .openapi("ProgressEvent", {
    description:
      "Progress that the child reports itself: a command by lines such as `3/10 words` on its " +
      "file descriptor 3, a function by its context. Events are throttled to five a second, and " +
      "to fewer after some minutes; the last report before the end always comes.",
    example: { type: "progress", done: 3, total: 10, message: "words" },
  });

export const GapEventSchema = z
  .object({
    type: typed("gap"),
    droppedBytes: z.int().min(0).describe("The number of bytes that the reader missed."),
  })
  .openapi("GapEvent", {
    description: "The reader missed this many bytes of output: they are no longer kept.",
    example: { type: "gap", droppedBytes: 65_536 },
  });

const partial = z
  .boolean()
  .optional()
  .describe(
    "True when the `value` or the `artifacts` are left out, because the line would reach 64 KiB: " +
      "`/children/{id}/result` has them. Absent when the event is whole.",
  );

export const ResultEventSchema = z
  .object({ type: typed("result"), ...endingFields, partial })
  .openapi("ResultEvent", {
    description: "Terminal: the child ended by itself.",
    example: { type: "result", ...RESULT_EXAMPLE },
  });

export const FailedEventSchema = z
  .object({
    type: typed("failed"),
    problem: ProblemSchema,
    child: ChildReferenceSchema.optional().describe(
      "With `draining`: the child, which runs on. Its events resume at " +
        "`/children/{id}/events` of any member, after the last event that had an id.",
    ),
    ...z.object(endingFields).partial().shape,
    partial,
  })
  .openapi("FailedEvent", {
    description:
      "Terminal: the child, or its placement, failed. With `child`, only the stream has ended: " +
      "the member that passed it on is about to leave. Such an event has no id.",
    example: { type: "failed", problem: PROBLEM_EXAMPLE },
  });

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
  .openapi("PoolEvent", {
    description:
      "An event of a child's stream. More types may come, so a client skips a type that it does " +
      "not know.",
    example: { type: "stdout", text: "Linux\n" },
  });

export const GrantedEventSchema = z
  .object({ type: typed("granted"), slot: SlotSchema })
  .openapi("GrantedEvent", {
    description: "The slot is held until `heldUntil`. Terminal, unless the request has a `count`.",
    example: {
      type: "granted",
      slot: {
        id: "m1.0a6b7f5e9d0c4c1fb7a9d2f1c3e5a7b9",
        pool: "pipeline",
        member: "m1",
        heldUntil: "2026-01-31T12:00:05.000Z",
      },
    },
  });

export const SlotEventSchema = z
  .discriminatedUnion("type", [QueuedEventSchema, GrantedEventSchema, FailedEventSchema])
  .openapi("SlotEvent", {
    description:
      "An event of a wait for a slot. It carries no id. More types may come, so a client skips a " +
      "type that it does not know.",
    example: { type: "queued", position: 1 },
  });
