/** The answers that several operations share. */
import { z } from "@hono/zod-openapi";
import { bytes, json } from "../bodies.ts";
import { ERRORS, type ErrorCode, type ProblemStatus } from "../errors.ts";
import { RunProblemSchema, RunResultSchema } from "../schemas/endings.ts";
import { PoolEventSchema } from "../schemas/events.ts";
import { ProblemSchema } from "../schemas/problem.ts";
import { ChildSchema } from "../schemas/resources.ts";

/** Codes of requests that are refused before any operation sees them. */
const ADMISSION = [
  "unauthorized",
  "forbidden",
  "request_timeout",
  "too_many_requests",
] as const satisfies readonly ErrorCode[];

export const malformed = ["invalid_request", "payload_too_large"] as const;
export const unknownWork = ["task_not_found", "runtime_not_found", "source_unknown"] as const;
export const waiting = ["pool_not_found", "at_capacity", "queue_timeout", "draining"] as const;

/** Codes of a child that was placed and failed. */
const endings = [
  "fetch_failed",
  "function_threw",
  "worker_crashed",
  "out_of_memory",
  "cancelled",
  "member_lost",
  "deadline_exceeded",
  "sandbox_unavailable",
] as const;

const retryHeaders = z.object({
  "Retry-After": z.string().describe("Seconds to wait before the next try."),
});

/** One response for each status of the codes. Its description lists the codes. */
export function problems(codes: readonly ErrorCode[], schema: z.ZodType = ProblemSchema) {
  const byStatus = new Map<ProblemStatus, ErrorCode[]>();
  for (const code of [...ADMISSION, ...codes]) {
    const { status } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      status,
      {
        description: names.map((name) => `\`${name}\``).join(", "),
        content: { "application/problem+json": { schema } },
        ...(status === 503 || status === 429 ? { headers: retryHeaders } : {}),
      },
    ]),
  );
}

/** The answers of an operation whose one success is 200 with JSON. */
export function ok<S extends z.ZodType>(
  description: string,
  schema: S,
  codes: readonly ErrorCode[],
) {
  return { 200: { description, content: json(schema) }, ...problems(codes) };
}

export const stream = {
  description:
    "The child's events; each `data` line is one `PoolEvent`. A stream that ends without a " +
    "terminal event was cut: treat it as `member_lost`.",
  content: { "text/event-stream": { schema: PoolEventSchema } },
};

export const callDocs =
  "The child outlives its caller unless `link` is true. In a stream, a child that fails ends " +
  "with the event `failed`. In the JSON form, the answer has the status of its problem, and the " +
  "output beside it.";

/** The answers of a call. */
export function callResponses(codes: readonly ErrorCode[]) {
  return {
    200: {
      description:
        "`Accept: text/event-stream`, `*/*` or none gives a stream. " +
        `${stream.description} \`Accept: application/json\` gives one answer at the end. ` +
        "`Accept: application/octet-stream` gives the child's stdout byte for byte, and the " +
        "terminal event as JSON in the trailer `pool-ending`. The server breaks that connection " +
        "when a command exits with another code than 0 or the child fails. HTTP/1.0 cannot tell " +
        "such a break from an end, so it gets a refusal.",
      content: { ...stream.content, ...json(RunResultSchema), ...bytes },
    },
    ...problems([...malformed, ...codes, ...endings], RunProblemSchema),
  };
}

/** The answers to placing a child that lives on its own. */
export function placedResponses(codes: readonly ErrorCode[]) {
  return {
    201: {
      description: "The child. `Location` is its URL.",
      content: json(ChildSchema),
      headers: z.object({ Location: z.string() }),
    },
    ...problems([...malformed, ...codes]),
  };
}
