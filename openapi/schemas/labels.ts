/** The labels of a child: the caller's own names and values. */
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
