/** The operations that every member serves. Handlers live beside the member; this file is the contract. */
import { createRoute, z } from "@hono/zod-openapi";
import { ERRORS, type ErrorCode, ProblemSchema, type ProblemStatus } from "./errors.ts";
import { PoolEventSchema, SlotEventSchema } from "./events.ts";
import { ChildIdSchema, PoolNameSchema, SlotIdSchema } from "./names.ts";
import {
  CallProblemSchema,
  CallResultSchema,
  ChildListSchema,
  ChildSchema,
  ChildStatusSchema,
  CountSchema,
  HealthSchema,
  PoolChildListSchema,
  PoolListSchema,
  PoolSchema,
  SignalSchema,
  SlotSchema,
  TasksSchema,
} from "./resources.ts";
import { ChildSpecSchema, MemberChildSpecSchema, SlotRequestSchema } from "./spec.ts";

const json = <S extends z.ZodType>(schema: S) => ({ "application/json": { schema } });

/** What the door answers before any operation is looked at. */
const DOOR = [
  "unauthorized",
  "forbidden",
  "request_timeout",
  "too_many_requests",
] as const satisfies readonly ErrorCode[];

/** One response per status that the codes map to, naming the codes. */
function problems(schema: z.ZodType, codes: readonly ErrorCode[]) {
  const byStatus = new Map<ProblemStatus, ErrorCode[]>();
  for (const code of [...DOOR, ...codes]) {
    const { status } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      status,
      {
        description: names.map((name) => `\`${name}\``).join(", "),
        content: { "application/problem+json": { schema } },
        ...(status === 503 || status === 429
          ? {
              headers: z.object({
                "Retry-After": z
                  .string()
                  .openapi({ description: "Seconds to wait before the next try." }),
              }),
            }
          : {}),
      },
    ]),
  );
}

const body = <S extends z.ZodType>(schema: S) => ({
  content: json(schema),
  required: true as const,
});

const pathPool = z.object({ pool: PoolNameSchema });
const pathChild = z.object({ id: ChildIdSchema });

const stream = {
  description:
    "The child's events, each `data` line one `PoolEvent`. A stream that ends without a terminal event was cut: treat it as `member_lost`.",
  content: { "text/event-stream": { schema: PoolEventSchema } },
};

const raw = { "application/octet-stream": { schema: z.string().openapi({ format: "binary" }) } };

const callResponse = {
  ...stream,
  description: `With \`Accept: text/event-stream\` (or none, or \`*/*\`): ${stream.description} With \`Accept: application/json\`: one answer at the end. With \`Accept: application/octet-stream\`: the child's stdout as it is, the terminal event as JSON in the trailer \`pool-ending\`; where a command exits with another code than 0, or the child fails, the connection is broken instead, which HTTP/1.0 cannot tell from an end: it is refused.`,
  content: { ...stream.content, ...json(CallResultSchema), ...raw },
};

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
const malformed = ["invalid_request", "payload_too_large"] as const;
const unknownHere = ["task_not_found", "runtime_not_found", "source_unknown"] as const;
const placing = [
  "all_members_at_capacity",
  "no_members_available",
  "queue_timeout",
  ...unknownHere,
] as const;
const waiting = ["pool_not_found", "at_capacity", "queue_timeout", "draining"] as const;
const admitting = [...waiting, "slot_not_found", ...unknownHere] as const;

/** Which children are listed. */
const childFilter = {
  label: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .openapi({
      description:
        "`NAME=VALUE`, or `NAME` for any value: children that carry this label. Repeated: those that carry all of them.",
      example: "job=nightly",
    }),
  status: ChildStatusSchema.optional(),
};

const callDocs =
  "The child outlives its caller unless `link` is true. In the waiting form a child that fails answers with its problem's status, the output beside it; in the stream it is the terminal event `failed`.";

export const callInPool = createRoute({
  operationId: "callInPool",
  method: "post",
  path: "/pools/{pool}/call",
  tags: ["Pools"],
  summary: "Run a command or a function on the least loaded member of the pool",
  description: callDocs,
  request: { params: pathPool, body: body(ChildSpecSchema) },
  responses: {
    200: callResponse,
    ...problems(CallProblemSchema, [...malformed, ...placing, ...endings]),
  },
});

export const placeChildInPool = createRoute({
  operationId: "placeChildInPool",
  method: "post",
  path: "/pools/{pool}/children",
  tags: ["Pools"],
  summary: "Place a child that lives on its own, on the least loaded member of the pool",
  request: { params: pathPool, body: body(ChildSpecSchema) },
  responses: {
    201: {
      description: "The child. `Location` is its URL.",
      content: json(ChildSchema),
      headers: z.object({ Location: z.string() }),
    },
    ...problems(ProblemSchema, [...malformed, ...placing, "member_lost"]),
  },
});

export const listPools = createRoute({
  operationId: "listPools",
  method: "get",
  path: "/pools",
  tags: ["Pools"],
  summary: "The pools that have members",
  responses: {
    200: { description: "The pools.", content: json(PoolListSchema) },
    ...problems(ProblemSchema, ["no_members_available"]),
  },
});

export const getPool = createRoute({
  operationId: "getPool",
  method: "get",
  path: "/pools/{pool}",
  tags: ["Pools"],
  summary: "A pool's members and their load",
  request: { params: pathPool },
  responses: {
    200: { description: "The pool.", content: json(PoolSchema) },
    ...problems(ProblemSchema, ["invalid_request", "pool_not_found", "no_members_available"]),
  },
});

export const listPoolChildren = createRoute({
  operationId: "listPoolChildren",
  method: "get",
  path: "/pools/{pool}/children",
  tags: ["Pools"],
  summary: "A pool's children, over all its members",
  request: { params: pathPool, query: z.strictObject(childFilter) },
  responses: {
    200: { description: "The children.", content: json(PoolChildListSchema) },
    ...problems(ProblemSchema, ["invalid_request", "pool_not_found", "no_members_available"]),
  },
});

export const call = createRoute({
  operationId: "call",
  method: "post",
  path: "/call",
  tags: ["This member"],
  summary: "Run a command or a function on this member",
  description: callDocs,
  request: { body: body(MemberChildSpecSchema) },
  responses: {
    200: callResponse,
    ...problems(CallProblemSchema, [...malformed, ...admitting, ...endings]),
  },
});

export const placeChild = createRoute({
  operationId: "placeChild",
  method: "post",
  path: "/children",
  tags: ["This member"],
  summary: "Place a child on this member",
  request: { body: body(MemberChildSpecSchema) },
  responses: {
    201: {
      description: "The child. `Location` is its URL.",
      content: json(ChildSchema),
      headers: z.object({ Location: z.string() }),
    },
    ...problems(ProblemSchema, [...malformed, ...admitting]),
  },
});

export const listChildren = createRoute({
  operationId: "listChildren",
  method: "get",
  path: "/children",
  tags: ["This member"],
  summary: "This member's children, those that ended a short while ago included",
  request: { query: z.strictObject({ pool: PoolNameSchema.optional(), ...childFilter }) },
  responses: {
    200: { description: "The children.", content: json(ChildListSchema) },
    ...problems(ProblemSchema, ["invalid_request"]),
  },
});

export const countChildren = createRoute({
  operationId: "countChildren",
  method: "get",
  path: "/children/count",
  tags: ["This member"],
  summary: "This member's load by pool: the probe of placement",
  responses: {
    200: { description: "The load.", content: json(CountSchema) },
    ...problems(ProblemSchema, []),
  },
});

export const getChild = createRoute({
  operationId: "getChild",
  method: "get",
  path: "/children/{id}",
  tags: ["Children"],
  summary: "One child; any member answers",
  request: { params: pathChild },
  responses: {
    200: { description: "The child.", content: json(ChildSchema) },
    ...problems(ProblemSchema, ["invalid_request", "child_not_found", "member_lost"]),
  },
});

export const stopChild = createRoute({
  operationId: "stopChild",
  method: "delete",
  path: "/children/{id}",
  tags: ["Children"],
  summary: "Stop a child: TERM, grace, KILL",
  description:
    "Answers at once; the child's stream ends with `failed` / `cancelled`. Stopping a child that has ended changes nothing.",
  request: {
    params: pathChild,
    query: z.strictObject({
      graceMs: z
        .string()
        .regex(/^\d{1,9}$/, "expected a whole number of milliseconds")
        .optional()
        .openapi({
          description:
            "Milliseconds between TERM and KILL; 0 kills at once. Default: the member's.",
          type: "integer",
        }),
    }),
  },
  responses: {
    202: { description: "The child, being stopped.", content: json(ChildSchema) },
    ...problems(ProblemSchema, ["invalid_request", "child_not_found", "member_lost"]),
  },
});

export const childEvents = createRoute({
  operationId: "childEvents",
  method: "get",
  path: "/children/{id}/events",
  tags: ["Children"],
  summary:
    "Attach to a child: its events from the first one kept, or from after `Last-Event-ID`; or its stdout",
  description:
    "What a reader comes too late for is told by `gap`. The raw form cannot: it is `events_expired` where its first byte is no longer kept, and a connection that is broken where the reader falls behind.",
  request: {
    params: pathChild,
    headers: z.object({
      "last-event-id": z
        .string()
        .regex(/^\d{1,15}$/, "expected the id of an event: a number")
        .optional()
        .openapi({ description: "The last event that was read." }),
      range: z
        .string()
        .regex(
          /^bytes=\d{1,15}-$/,
          "expected bytes=N-, N being the first byte of stdout that is wanted",
        )
        .optional()
        .openapi({
          description:
            "Of the raw form: the first byte of stdout that is wanted, 0 being the very first.",
          example: "bytes=1048576-",
        }),
    }),
  },
  responses: {
    200: {
      description: `${stream.description} With \`Accept: application/octet-stream\`: the child's stdout, ending as in the raw form of a call.`,
      content: { ...stream.content, ...raw },
    },
    204: {
      description:
        "`Last-Event-ID` is that of the terminal event: there is nothing more to come. An `EventSource` stops here.",
    },
    206: {
      description:
        "With `Range`: stdout from that byte on. Its last byte is not known yet; `Content-Range` has one that is never reached.",
      content: raw,
    },
    ...problems(ProblemSchema, [
      "invalid_request",
      "child_not_found",
      "events_expired",
      "member_lost",
    ]),
  },
});

export const getChildFile = createRoute({
  operationId: "getChildFile",
  method: "get",
  path: "/children/{id}/files/{path}",
  tags: ["Children"],
  summary: "An artifact that the child left, while the child is remembered",
  request: {
    params: pathChild.extend({
      path: z.string().openapi({
        description: "The artifact's path in the workspace; its slashes may stand as they are.",
      }),
    }),
  },
  responses: {
    200: { description: "Its bytes.", content: raw },
    ...problems(ProblemSchema, ["invalid_request", "child_not_found", "not_found", "member_lost"]),
  },
});

export const writeStdin = createRoute({
  operationId: "writeStdin",
  method: "post",
  path: "/children/{id}/stdin",
  tags: ["Children"],
  summary:
    "Feed a child's standard input: the body's bytes, as they come, no faster than the child reads",
  description:
    "Bodies are written one after the other. The input stays open for the next one unless `end` is true. With `stdin: {open: true, once: true}` there is one: its end is that of the input, and where it breaks off the child is stopped.",
  request: {
    params: pathChild,
    query: z.strictObject({
      end: z
        .enum(["true", "false"])
        .default("false")
        .openapi({ description: "Close the input after the body: the child reads its end." }),
    }),
    body: { content: raw },
  },
  responses: {
    200: {
      description: "All of it was handed to the child.",
      content: json(z.object({ bytes: z.int() }).openapi("Written")),
    },
    ...problems(ProblemSchema, [
      "invalid_request",
      "child_not_found",
      "stdin_closed",
      "member_lost",
    ]),
  },
});

export const signalChild = createRoute({
  operationId: "signalChild",
  method: "post",
  path: "/children/{id}/signal",
  tags: ["Children"],
  summary: "Send a signal to the child's program",
  request: { params: pathChild, body: body(SignalSchema) },
  responses: {
    202: { description: "The child.", content: json(ChildSchema) },
    ...problems(ProblemSchema, ["invalid_request", "child_not_found", "member_lost"]),
  },
});

export const requestSlot = createRoute({
  operationId: "requestSlot",
  method: "post",
  path: "/slots",
  tags: ["This member"],
  summary: "Wait for a slot of this member and hold it for a moment",
  description:
    "Waiters are served in the order of their arrival, in turns between callers. Closing the connection withdraws the request, and returns a slot that was granted meanwhile. A slot that no child takes in time returns by itself.",
  request: { body: body(SlotRequestSchema) },
  responses: {
    200: {
      description:
        "With `Accept: text/event-stream` (or none): `queued` with each change of the position, then `granted` or `failed`.",
      content: { "text/event-stream": { schema: SlotEventSchema } },
    },
    201: {
      description: "With `Accept: application/json`: the slot, once it is granted.",
      content: json(SlotSchema),
    },
    ...problems(ProblemSchema, ["invalid_request", ...waiting, "sandbox_unavailable"]),
  },
});

export const releaseSlot = createRoute({
  operationId: "releaseSlot",
  method: "delete",
  path: "/slots/{id}",
  tags: ["This member"],
  summary: "Give back a slot that this member holds",
  request: { params: z.object({ id: SlotIdSchema }) },
  responses: {
    204: { description: "It is free." },
    ...problems(ProblemSchema, ["invalid_request", "slot_not_found"]),
  },
});

export const listTasks = createRoute({
  operationId: "listTasks",
  method: "get",
  path: "/tasks",
  tags: ["This member"],
  summary: "What this member can run by name: its tasks and runtimes, in one pool or in all",
  request: { query: z.strictObject({ pool: PoolNameSchema.optional() }) },
  responses: {
    200: { description: "Their names.", content: json(TasksSchema) },
    ...problems(ProblemSchema, ["invalid_request"]),
  },
});

export const drain = createRoute({
  operationId: "drain",
  method: "post",
  path: "/drain",
  tags: ["Operations"],
  summary: "Stop admitting, finish what runs, deliver, leave, and end the process",
  description:
    "Answers at once, the same each time. What is still running after the member's `--drain-ms` is stopped: `cancelled`.",
  responses: {
    202: { description: "It drains; this is what still runs.", content: json(CountSchema) },
    ...problems(ProblemSchema, []),
  },
});

export const livez = createRoute({
  operationId: "livez",
  method: "get",
  path: "/livez",
  tags: ["Operations"],
  security: [],
  summary: "Whether the process answers",
  responses: { 200: { description: "It does.", content: json(HealthSchema) } },
});

export const readyz = createRoute({
  operationId: "readyz",
  method: "get",
  path: "/readyz",
  tags: ["Operations"],
  security: [],
  summary: "Whether the member is in its pools and admits children",
  responses: {
    200: { description: "It is.", content: json(HealthSchema) },
    503: { description: "It is not; `detail` says why.", content: json(HealthSchema) },
  },
});

/** Every operation, in the order of the reference page. */
export const ROUTES = [
  callInPool,
  placeChildInPool,
  listPools,
  getPool,
  listPoolChildren,
  call,
  placeChild,
  listChildren,
  countChildren,
  requestSlot,
  releaseSlot,
  listTasks,
  getChild,
  stopChild,
  childEvents,
  writeStdin,
  signalChild,
  getChildFile,
  drain,
  livez,
  readyz,
] as const;
