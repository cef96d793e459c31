/** The answers and the needs that several operations share. */
import type { z } from "@hono/zod-openapi";
import { bytes, json } from "../bodies.ts";
import { ERRORS, type ErrorCode, type ProblemStatus } from "../errors.ts";
import { RunProblemSchema, RunResultSchema } from "../schemas/endings.ts";
import { PoolEventSchema } from "../schemas/events.ts";
import { ProblemSchema } from "../schemas/problem.ts";
import { ChildSchema } from "../schemas/state/children.ts";
import { type HeaderName, headers } from "./headers.ts";

export type Scope = "call" | "observe" | "admin";

/**
 * The scopes of a token of which an operation needs one. `admin` stands for each of them. Without
 * scopes, any token will do.
 */
export function needs(...scopes: readonly Scope[]): { bearer: Scope[] }[] {
  return scopes.length === 0 ? [{ bearer: [] }] : scopes.map((scope) => ({ bearer: [scope] }));
}

/** Codes that every path may answer. */
const ANYWHERE = [
  "invalid_request",
  "method_not_allowed",
  "request_timeout",
  "payload_too_large",
  "internal_error",
] as const;

/** Codes that every operation for callers may answer. */
const COMMON: readonly ErrorCode[] = [
  ...ANYWHERE,
  "unauthorized",
  "forbidden",
  "too_many_requests",
  "overloaded",
];

export const unknownWork = ["task_not_found", "runtime_not_found", "source_unknown"] as const;
export const waiting = ["pool_not_found", "at_capacity", "queue_timeout", "draining"] as const;

/** Codes of a body that brings a child spec, and of its way to a slot. */
const placing = [
  "unsupported_media_type",
  "sandbox_unavailable",
  "deadline_exceeded",
  "member_lost",
  "idempotency_conflict",
  "idempotency_unavailable",
  ...unknownWork,
] as const;

/** Codes of a child that was placed and failed. */
const endings = [
  "fetch_failed",
  "function_threw",
  "worker_crashed",
  "out_of_memory",
  "cancelled",
  "events_expired",
  "child_forgotten",
  "child_not_found",
] as const;

/** The headers of problems by their status. */
const OF_STATUS: Readonly<Partial<Record<ProblemStatus, HeaderName[]>>> = {
  401: ["www-authenticate"],
  405: ["allow"],
  416: ["content-range", "pool-ending"],
  429: ["retry-after"],
  503: ["retry-after"],
};

/** Further headers of an answer. */
type More = readonly HeaderName[];

/**
 * One response for each status of the codes. Its description lists the codes.
 *
 * @param options `schema` of the problems; `more`: headers that they may have.
 */
export function problems(
  codes: readonly ErrorCode[],
  {
    schema = ProblemSchema,
    common = COMMON,
    more = [],
  }: { schema?: z.ZodType; common?: readonly ErrorCode[]; more?: More } = {},
) {
  const byStatus = Map.groupBy(new Set([...common, ...codes]), (code) => ERRORS[code].status);
  const sorted = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    sorted.map(([status, names]) => {
      return [
        status,
        {
          description: names.map((name) => `\`${name}\``).join(", "),
          content: { "application/problem+json": { schema } },
          headers: headers(...(OF_STATUS[status] ?? []), ...more),
        },
      ];
    }),
  );
}

/** The problems of an operation that every caller may ask, without a token. */
export const probeProblems = problems([], { common: ANYWHERE });

/** The answers of an operation whose one success is 200 with JSON. */
export function ok<S extends z.ZodType>(
  description: string,
  schema: S,
  codes: readonly ErrorCode[],
) {
  return { 200: { description, content: json(schema), headers: headers() }, ...problems(codes) };
}

export const stream = {
  description:
    "The child's events as server-sent events. Each `data` line is one `PoolEvent`, `event` " +
    "equals its `type`, and `id` counts up from 1. Lines stay below 64 KiB unless `Accept` is " +
    "`text/event-stream;lines=long`. A comment comes every 10 seconds. A stream that ends " +
    "without a terminal event was cut: resume it, or treat it as `member_lost`.",
  content: { "text/event-stream": { schema: PoolEventSchema } },
};

export const stdout = bytes("The child's stdout.");

/** The child's stdout, and how its end tells success from failure. */
export const rawStdout =
  "The child's stdout, byte for byte. The trailer `pool-ending` has the terminal event. The " +
  "server breaks the connection when a command exits with another code than 0, or the child " +
  "fails. HTTP/1.0 cannot tell such a break from an end, so it gets a refusal.";

/** The answers of a call: a stream of events. */
export function callResponses(codes: readonly ErrorCode[], more: More = []) {
  return {
    200: { ...stream, headers: headers("pool-child-id", ...more) },
    204: {
      description:
        "`Last-Event-ID` is the id of the last event of the child that the key has started, so " +
        "no more events come.",
      headers: headers("pool-child-id", ...more),
    },
    ...problems(["not_acceptable", ...placing, ...codes, ...endings], {
      more: ["pool-child-id", ...more],
    }),
  };
}

/** The answers of a run: one result at the end. */
export function runResponses(codes: readonly ErrorCode[], more: More = []) {
  return {
    200: {
      description:
        "The child has ended by itself, and a command's `exitCode` may be any. Or the child " +
        "failed more than 5 seconds after its placement: then there is a `problem`.",
      content: json(RunResultSchema),
      headers: headers("pool-child-id", ...more),
    },
    ...problems(["not_acceptable", ...placing, ...codes, ...endings], {
      schema: RunProblemSchema,
      more: ["pool-child-id", ...more],
    }),
  };
}

/** The answers of a pipe: the child's stdout. */
export function pipeResponses(codes: readonly ErrorCode[], more: More = []) {
  const refusals = placing.filter((code) => code !== "unsupported_media_type");
  return {
    200: {
      description: rawStdout,
      content: stdout,
      headers: headers("pool-child-id", "pool-ending", ...more),
    },
    ...problems(["not_acceptable", ...refusals, ...codes, "cancelled"], {
      more: ["pool-child-id", ...more],
    }),
  };
}

/** The answers to placing a child that lives on its own. */
export function placedResponses(codes: readonly ErrorCode[], more: More = []) {
  return {
    201: {
      description:
        "The child. `Location` is its URL. A key that has started it before is answered with it " +
        "again, as it is now.",
      content: json(ChildSchema),
      headers: headers("location", ...more),
    },
    ...problems([...placing, ...codes, "child_forgotten"], { more }),
  };
}

export const callDocs =
  "The answer streams the child's output and ends with its result. A child that fails ends the " +
  "stream with the event `failed`. The child outlives its caller unless `link` is true. The " +
  "header `Accept` chooses one of two other forms: `application/json` answers as `run` does, and " +
  "`application/octet-stream` as `pipe` does.";

export const runDocs =
  "The answer comes at the end: the value or the exit code, with up to 1 MiB each of stdout and " +
  "stderr. A child that fails within 5 seconds is answered with the status of its problem, and " +
  "the output beside it. Behind these 5 seconds, the head of the answer is sent: it is 200, and " +
  "`pool-child-id` names the child. White space in front of the JSON keeps the connection alive, " +
  "and a child that fails has its `problem` in the JSON. A refusal keeps its status always. The " +
  "child outlives its caller unless `link` is true.";

export const pipeDocs =
  "The body, of any content type, is the child's input; the answer is its stdout. Both are " +
  "streamed, and nothing is stored. Without a body the input is empty. The child spec is in " +
  "exactly one of the query `command`, the query `spec`, and the header `pool-spec`. The client " +
  "must read the answer while it sends.";
