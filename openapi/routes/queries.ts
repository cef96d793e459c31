/** The query parameters that several operations share. Every value of a query is text. */
import { z } from "@hono/zod-openapi";
import { KEY_HEADER, LAST_EVENT_HEADER, SPEC_HEADER } from "../names.ts";
import { PROGRAM_ITEM } from "../schemas/arguments.ts";
import { MAX_LABELS } from "../schemas/labels.ts";
import { IdempotencyKeySchema } from "../schemas/names.ts";
import { ChildStatusSchema } from "../schemas/state/children.ts";
import { NO_NUL_PATTERN } from "../schemas/values.ts";

/** The most entries that one page of a listing has. */
export const MAX_PAGE = 1_000;

const DEFAULT_PAGE = 100;

/** The longest cursor, in characters: a time and an id fit. */
const MAX_CURSOR_LENGTH = 255;

/** A whole number from `min` to `max`, both included. */
export function wholeNumber(min: number, max: number) {
  return z
    .string()
    .refine(
      (text) => /^[0-9]{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max,
      `expected a whole number from ${min} to ${max}`,
    )
    .transform(Number)
    .openapi({ type: "integer", minimum: min, maximum: max });
}

/** A parameter that may be repeated, `max` times at most. Default: any number of times. */
export function repeatable<S extends z.ZodType>(value: S, max = Number.POSITIVE_INFINITY) {
  const values = z.array(value);
  return z.preprocess(
    (given) => (given === undefined ? given : [given].flat()),
    (max < Number.POSITIVE_INFINITY
      ? values.max(max, `expected it at most ${max} times`)
      : values
    ).optional(),
  );
}

/** Chooses one page of a listing. */
export const page = {
  limit: wholeNumber(1, MAX_PAGE)
    .default(DEFAULT_PAGE)
    .openapi({
      description: `The most entries of this page. Default ${DEFAULT_PAGE}.`,
      type: "integer",
      minimum: 1,
      maximum: MAX_PAGE,
      default: DEFAULT_PAGE as unknown as string,
      example: DEFAULT_PAGE,
    }),
  cursor: z
    .string()
    .refine(
      (text) => text.length <= 2 * MAX_CURSOR_LENGTH && [...text].length <= MAX_CURSOR_LENGTH,
      `expected the nextCursor of a page, of at most ${MAX_CURSOR_LENGTH} characters`,
    )
    .optional()
    .openapi({
      description: "The `nextCursor` of the page before. Default: the first page.",
      maxLength: MAX_CURSOR_LENGTH,
    }),
};

/** Chooses the children of a listing, and one page of them. */
export const childFilter = {
  label: repeatable(z.string(), MAX_LABELS).openapi({
    description:
      "`NAME=VALUE`, or `NAME` for any value: children with this label. A repeated parameter " +
      "selects children that have all of the labels. Default: all children.",
    type: "array",
    items: { type: "string", description: "`NAME=VALUE`, or `NAME`." },
    maxItems: MAX_LABELS,
    example: ["job=nightly"],
  }),
  status: ChildStatusSchema.optional().openapi({
    description: "Only children with this status. Default: all.",
  }),
  ...page,
};

const JSON_TEXT = { contentMediaType: "application/json" };

/** The headers of W3C Trace Context. Malformed ones are ignored. */
const TRACE_HEADERS = {
  traceparent: z
    .string()
    .optional()
    .describe(
      "The caller's span, as W3C Trace Context has it. The spans of the call join its trace, and " +
        "the child finds the context in `TRACEPARENT`. A malformed one is ignored. Default: none.",
    ),
  tracestate: z
    .string()
    .optional()
    .describe(
      "Entries of tracing systems beside `traceparent`. Up to 512 characters go on to the " +
        "child, in `TRACESTATE`. Default: none.",
    ),
};

/** A child spec beside a body that is the child's input. */
function specBeside(description: string) {
  const spec = (more = "") =>
    z
      .string()
      .optional()
      .openapi({ description: description + more, ...JSON_TEXT });
  return {
    query: z.strictObject({ spec: spec() }),
    headers: z.object({
      [SPEC_HEADER]: spec(" In ASCII, such as `\\u00e9` for é."),
      [KEY_HEADER]: IdempotencyKeySchema.optional().describe(
        "A key that starts one child at most, as `idempotencyKey` of the spec. Default: none.",
      ),
      [LAST_EVENT_HEADER]: z
        .string()
        .optional()
        .describe(
          "A request with this header starts nothing. With the idempotency key of an earlier " +
            "call it continues the stream of its child behind this event: 204 where that was the " +
            "last one. Without a key it is `invalid_request`. Default: none.",
        ),
      ...TRACE_HEADERS,
    }),
  };
}

export const beside = specBeside(
  "The child spec as JSON, beside a body that is the child's input. A body that is JSON or " +
    "multipart has the spec itself.",
);

const PIPE = specBeside("The child spec as JSON, in place of a `command` in the query.");

const commandDocs = {
  description:
    "The program and its arguments, one a parameter: `?command=gzip&command=-9`. It is a whole " +
    "child spec; no other spec stands beside it.",
  type: "array" as const,
  prefixItems: PROGRAM_ITEM,
  items: { type: "string" as const, description: "An argument.", pattern: NO_NUL_PATTERN },
  example: ["tr", "a-z", "A-Z"],
};

/** The spec beside the body of a pipe. The child spec checks the words of the command. */
export const besidePipe = {
  ...PIPE,
  query: PIPE.query.extend({ command: repeatable(z.string()).openapi(commandDocs) }),
};
