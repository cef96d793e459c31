/** The parts of a spec for the caller alone: its labels, and the URL that learns the ending. */
import { z } from "@hono/zod-openapi";
import { documented, record, shortText, utf8Bytes } from "./values.ts";

/** The longest name of a label, and its longest value, in code points. */
const MAX_NAME = 63;
const MAX_VALUE = 255;
/** The most labels of a child, and the most bytes of their names and values together. */
export const MAX_LABELS = 64;
const MAX_BYTES = 8_192;

export const LabelsSchema = documented(
  record(shortText(MAX_NAME), shortText(MAX_VALUE).describe("The label's value."), {
    maxLength: MAX_NAME,
  })
    .refine(
      (labels) => Object.keys(labels).length <= MAX_LABELS,
      `expected at most ${MAX_LABELS} labels`,
    )
    .refine(
      (labels) => utf8Bytes(Object.entries(labels).flat().join("")) <= MAX_BYTES,
      `expected labels of at most ${MAX_BYTES} bytes together`,
    ),
  {
    description:
      `The caller's own names and values, which take at most ${MAX_BYTES} bytes together. ` +
      "Answers show them with the child. Default: none.",
    example: { job: "nightly" },
    maxProperties: MAX_LABELS,
  },
);

/** Where the ending of a child is posted. */
export const NotifySchema = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/, error: "expected a URL of http or https" })
      .max(2_048)
      .describe("An http or https URL that the pool's operator allows, without a user."),
  })
  .openapi("Notify", {
    description:
      "The member posts the ending to this URL once the child has ended, signed as Standard " +
      "Webhooks has it. It tries 5 times in some 3 minutes.",
    example: { url: "https://hooks.example.com/ended" },
  });
