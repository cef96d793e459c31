/** Operations on the member that is asked: its children and tasks, its health and drain. */
import { createRoute, z } from "@hono/zod-openapi";
import { json, jsonBody } from "../bodies.ts";
import { MemberNameSchema, PoolNameSchema } from "../schemas/names.ts";
import { CallerSchema, CountSchema, HealthSchema, TasksSchema } from "../schemas/resources.ts";
import { MemberChildSpecSchema } from "../schemas/spec.ts";
import { ChildListSchema } from "../schemas/state/children.ts";
import { headers } from "./headers.ts";
import { beside, besidePipe, childFilter } from "./queries.ts";
import {
  callDocs,
  callResponses,
  needs,
  ok,
  pipeDocs,
  pipeResponses,
  placedResponses,
  probeProblems,
  problems,
  runDocs,
  runResponses,
  waiting,
} from "./responses.ts";

const tags = ["This member"];

const admitting = [...waiting, "slot_not_found"] as const;
/** The headers of answers to requests for a slot. */
const told = ["pool-load"] as const;

export const call = createRoute({
  operationId: "call",
  method: "post",
  path: "/call",
  tags,
  security: needs("call"),
  summary: "Run a command or a function on this member, and stream its output",
  description: callDocs,
  request: { ...beside, body: jsonBody(MemberChildSpecSchema) },
  responses: callResponses(admitting, told),
});

export const run = createRoute({
  operationId: "run",
  method: "post",
  path: "/run",
  tags,
  security: needs("call"),
  summary: "Run a command or a function on this member, and wait for its result",
  description: runDocs,
  request: { ...beside, body: jsonBody(MemberChildSpecSchema) },
  responses: runResponses(admitting, told),
});

export const pipe = createRoute({
  operationId: "pipe",
  method: "post",
  path: "/pipe",
  tags,
  security: needs("call"),
  summary: "Send bytes through a command on this member",
  description: pipeDocs,
  request: {
    query: besidePipe.query.extend({
      pool: PoolNameSchema.optional().openapi({
        description: "The pool of the query `command`. A spec names its pool itself.",
      }),
    }),
    headers: besidePipe.headers,
    body: jsonBody(MemberChildSpecSchema),
  },
  responses: pipeResponses(admitting, told),
});

export const placeChild = createRoute({
  operationId: "placeChild",
  method: "post",
  path: "/children",
  tags,
  security: needs("call"),
  summary: "Place a child that lives on its own on this member",
  description:
    "The child outlives its caller, and has no deadline unless the spec or the pool sets one. " +
    "Its input stays open unless the spec has one.",
  request: { ...beside, body: jsonBody(MemberChildSpecSchema) },
  responses: placedResponses(admitting, told),
});

export const listChildren = createRoute({
  operationId: "listChildren",
  method: "get",
  path: "/children",
  tags,
  security: needs("call", "observe"),
  summary: "List this member's children",
  description:
    "The children of one pool, or of all pools that the token is for. Without the scope " +
    "`observe` these are the caller's own ones. They are sorted by `startedAt`, then by `id`, in " +
    "pages. A child that has ended stays on the list while it is remembered.",
  request: { query: z.strictObject({ pool: PoolNameSchema.optional(), ...childFilter }) },
  responses: ok("One page of the children.", ChildListSchema, ["pool_not_found"]),
});

export const countChildren = createRoute({
  operationId: "countChildren",
  method: "get",
  path: "/children/count",
  tags,
  security: needs(),
  summary: "Get this member's load by pool: the probe of placement",
  description:
    "The load of every pool: its running children, its slots and its queue. Placement asks for " +
    "it where it knows no load from the header `pool-load`, so the answer is small.",
  responses: ok("The load.", CountSchema, []),
});

export const listTasks = createRoute({
  operationId: "listTasks",
  method: "get",
  path: "/tasks",
  tags,
  security: needs("call", "observe"),
  summary: "List this member's tasks and runtimes, in one pool or in all",
  description: "The names that this member knows, in one pool, or in all that the token is for.",
  request: { query: z.strictObject({ pool: PoolNameSchema.optional() }) },
  responses: ok("Their names.", TasksSchema, ["pool_not_found"]),
});

export const drain = createRoute({
  operationId: "drain",
  method: "post",
  path: "/drain",
  tags: ["Operations"],
  security: needs("admin"),
  summary: "Admit no more children, finish and deliver those that run, leave, and end the process",
  description:
    "The member answers at once, and repeated requests change nothing. Children that still run " +
    "after its `--drain-ms` are stopped: `cancelled`.",
  request: {
    query: z.strictObject({
      member: MemberNameSchema.optional().openapi({
        description:
          "The member that drains. The one that is asked passes the request on to it. " +
          "Default: the one that is asked.",
      }),
    }),
  },
  responses: {
    202: {
      description: "The member drains. The counts show what still runs.",
      content: json(CountSchema),
      headers: headers(),
    },
    ...problems(["not_found", "member_lost"]),
  },
});

export const caller = createRoute({
  operationId: "caller",
  method: "get",
  path: "/caller",
  tags: ["Operations"],
  security: needs(),
  summary: "Get what the token is for",
  description:
    "A client that shows only what its user may do asks for it first. The scopes hold in all of " +
    "the pools.",
  responses: ok("The caller.", CallerSchema, []),
});

export const livez = createRoute({
  operationId: "livez",
  method: "get",
  path: "/livez",
  tags: ["Operations"],
  security: [],
  summary: "Check whether the process answers",
  description: "The probe of liveness. It needs no token and has no limit of rate.",
  responses: {
    200: { description: "The process answers.", content: json(HealthSchema), headers: headers() },
    ...probeProblems,
  },
});

export const readyz = createRoute({
  operationId: "readyz",
  method: "get",
  path: "/readyz",
  tags: ["Operations"],
  security: [],
  summary: "Check whether the member is in its pools and admits children",
  description: "The probe of readiness. It needs no token and has no limit of rate.",
  responses: {
    200: { description: "The member is ready.", content: json(HealthSchema), headers: headers() },
    ...probeProblems,
    503: {
      description: "The member is not ready; `detail` gives the reason.",
      content: json(HealthSchema),
      headers: headers(),
    },
  },
});

export const metrics = createRoute({
  operationId: "metrics",
  method: "get",
  path: "/metrics",
  tags: ["Operations"],
  security: needs("observe"),
  summary: "Get this member's metrics, for Prometheus",
  description:
    "The text format of Prometheus. The metrics tell of all pools, so a token needs `observe` in " +
    "each of them. The page of operation lists every metric.",
  responses: {
    200: {
      description: "The metrics.",
      content: {
        "text/plain": { schema: z.string().openapi({ description: "Lines of the text format." }) },
      },
      headers: headers(),
    },
    ...problems([]),
  },
});
