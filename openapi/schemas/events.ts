/**
 * The events of a child's stream: `event:` equals `data.type`, `id:` counts up from 1, and exactly
 * one event is terminal.
 */
import { z } from "@hono/zod-openapi";
import { MAX_PROGRESS_MESSAGE } from "../events.ts";
import { ProblemSchema } from "./problem.ts";
import { ChildReferenceSchema, endingFields, SlotSchema } from "./resources.ts";

export const QueuedEventSchema = z
  .object({
    type: z.literal("queued"),
    position: z.int().min(1).describe("1 for the next caller to be served."),
  })
  .openapi("QueuedEvent", {
    description: "The caller waits for a slot. There is no child yet, and the event carries no id.",
  });

export const PlacedEventSchema = z
  .object({ type: z.literal("placed"), child: ChildReferenceSchema })
  .openapi("PlacedEvent", {
    description: "The child has a slot. Always the first event with an id.",
  });

const outputFields = {
  text: z.string().optional(),
  base64: z.string().optional(),
  lossy: z
    .literal(true)
    .optional()
    .describe("True when U+FFFD replaces bytes of `text` that were not UTF-8."),
};
const outputDocs = {
  description: "Output of the child: `text`, or `base64` when the spec asks for it.",
};

export const StdoutEventSchema = z
  .object({ type: z.literal("stdout"), ...outputFields })
  .openapi("StdoutEvent", outputDocs);
export const StderrEventSchema = z
  .object({ type: z.literal("stderr"), ...outputFields })
  .openapi("StderrEvent", outputDocs);

export const ProgressEventSchema = z
  .object({
    type: z.literal("progress"),
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
      .describe("One line for people, without control characters. The child wrote it."),
  })
  .openapi("ProgressEvent", {
    description:
      "Progress that the child reports itself: a command by lines such as `3/10 words` on its " +
      "file descriptor 3, a function by its context. Events are throttled to five a second, and " +
      "to fewer after some minutes; the last report before the end always comes.",
  });

export const GapEventSchema = z
  .object({ type: z.literal("gap"), droppedBytes: z.int() })
  .openapi("GapEvent", {
    description: "The reader missed this many bytes of output: they are no longer kept.",
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
    description: "Terminal: the slot is held until `heldUntil`.",
  });

export const SlotEventSchema = z
  .discriminatedUnion("type", [QueuedEventSchema, GrantedEventSchema, FailedEventSchema])
  .openapi("SlotEvent", {
    description: "The events of a wait for a slot. They carry no id.",
  });
