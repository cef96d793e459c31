/** Problems, and the values in them. */
import { z } from "@hono/zod-openapi";
import { ERROR_CODES } from "../codes.ts";

export const ErrorCodeSchema = z.enum(ERROR_CODES).openapi("ErrorCode");

export const LoadSchema = z
  .object({
    active: z.int().min(0).describe("Children that hold a slot now."),
    max: z
      .int()
      .min(0)
      .describe("Slots of this pool on this member (`maxChildren`); 0 while it drains."),
    queued: z.int().min(0).describe("Callers that wait for a slot of this pool on this member."),
  })
  .openapi("Load");

export const FunctionErrorSchema = z
  .object({ name: z.string(), message: z.string(), stack: z.string().optional() })
  .openapi("FunctionError", {
    description: "The error that the function threw, as the child saw it.",
  });

const InvalidFieldSchema = z
  .object({
    path: z.string().openapi({ description: "JSON Pointer to the field.", example: "/command/0" }),
    message: z.string().describe("The expected value, and the one that came."),
  })
  .openapi("InvalidField");

export const ProblemSchema = z
  .object({
    type: z.string().openapi({ example: "urn:distributed-pool:problem:at_capacity" }),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe("For people: what was expected, and what came."),
    code: ErrorCodeSchema,
    fields: z
      .array(InvalidFieldSchema)
      .optional()
      .describe("With `invalid_request`: each field at fault."),
    load: LoadSchema.optional().describe("With `at_capacity`: the member's load at that moment."),
    error: FunctionErrorSchema.optional().describe("With `function_threw`: the error."),
  })
  .openapi("Problem", { description: "RFC 9457 problem details with a stable `code`." });
