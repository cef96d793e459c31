/** Problems, and the values in them. */
import { z } from "@hono/zod-openapi";
import { ERROR_CODES, ERRORS } from "../codes.ts";
import { documented } from "./values.ts";

const meanings = Object.fromEntries(ERROR_CODES.map((code) => [code, ERRORS[code].meaning]));

export const ErrorCodeSchema = z.string().openapi("ErrorCode", {
  description:
    "The stable code of a problem. More codes may come, so a client treats a code that it does " +
    "not know by its status.",
  example: "at_capacity",
  "x-extensible-enum": ERROR_CODES,
  "x-enumDescriptions": meanings,
});

export const LoadSchema = z
  .object({
    active: z.int().min(0).describe("Children that hold a slot now."),
    max: z
      .int()
      .min(0)
      .describe("Slots of this pool on this member (`maxChildren`); 0 while it drains."),
    queued: z.int().min(0).describe("Callers that wait for a slot of this pool on this member."),
  })
  .openapi("Load", {
    description: "How busy one member is in one pool.",
    example: { active: 2, max: 5, queued: 0 },
  });

const errorFields = {
  name: z.string().describe("The name of the error's class, such as `TypeError`."),
  message: z.string().describe("The message of the error."),
  stack: z.string().optional().describe("The stack of the error; absent where there is none."),
  code: z
    .string()
    .optional()
    .describe(
      "The code of the error, such as `ECONNREFUSED`, where it has one; a number as decimal text.",
    ),
};

/** An error as its child saw it, with the errors behind it. */
export interface ThrownError extends z.infer<z.ZodObject<typeof errorFields>> {
  cause?: ThrownError | undefined;
  errors?: ThrownError[] | undefined;
}

export const FunctionErrorSchema: z.ZodType<ThrownError> = z
  .object({
    ...errorFields,
    get cause() {
      return FunctionErrorSchema.optional().describe("The error that caused this one.");
    },
    get errors() {
      return z
        .array(FunctionErrorSchema)
        .optional()
        .describe(
          "The errors that this one groups: `errors` of an `AggregateError`; `exceptions` of an " +
            "`ExceptionGroup`.",
        );
    },
  })
  .openapi("FunctionError", {
    description:
      "An error that a function threw, as its child saw it. It has at most 16 errors, the causes " +
      "and the grouped ones included, of 40,960 characters together; the rest is left out.",
    example: {
      name: "TypeError",
      message: "fetch failed",
      cause: { name: "Error", message: "connect ECONNREFUSED 127.0.0.1:80", code: "ECONNREFUSED" },
    },
  });

export const InvalidFieldSchema = z
  .object({
    path: z.string().describe("JSON Pointer to the field; empty for the whole."),
    message: z.string().describe("The expected value, and the one that came."),
  })
  .openapi("InvalidField", {
    description: "A field of the request that is at fault.",
    example: { path: "/command/0", message: "expected the program to run; got an empty string" },
  });

/** The fields of every problem. */
export const problemFields = {
  type: z.string().describe("The URN of the code: `urn:distributed-pool:problem:` and the code."),
  title: z.string().describe("The meaning of the code, for people."),
  status: z.int().min(400).max(599).openapi({
    description: "The HTTP status that belongs to the code.",
    format: "int32",
  }),
  detail: z.string().describe("For people: what was expected, and what came."),
  code: ErrorCodeSchema,
  fields: z
    .array(InvalidFieldSchema)
    .optional()
    .describe("With `invalid_request`: each field at fault."),
  load: LoadSchema.optional().describe("With `at_capacity`: the member's load at that moment."),
  admitted: documented(z.literal([true, false, "unknown"]).optional(), {
    type: ["boolean", "string"],
    enum: [true, false, "unknown"],
    description:
      "Whether a member admitted the child: false when certainly nothing was run, so the same " +
      'request may be sent again; true when it was admitted; `"unknown"` when the answer was ' +
      "lost. Absent where `code` says it.",
    example: false,
  }),
  error: FunctionErrorSchema.optional().describe("With `function_threw`: the error."),
};

export const PROBLEM_EXAMPLE = {
  type: "urn:distributed-pool:problem:at_capacity",
  title: "This member is at capacity",
  status: 503,
  detail: "expected a free slot in pool pipeline; got 5 of 5 taken",
  code: "at_capacity",
  load: { active: 5, max: 5, queued: 0 },
} as const;

export const ProblemSchema = z.object(problemFields).openapi("Problem", {
  description: "The reason why a request or a child failed: RFC 9457, with a stable `code`.",
  example: PROBLEM_EXAMPLE,
});
