/** Operations on pools. Any member answers for any pool. */
import { createRoute, z } from "@hono/zod-openapi";
import { jsonBody } from "../bodies.ts";
import { PoolNameSchema } from "../schemas/names.ts";
import { ChildSpecSchema } from "../schemas/spec.ts";
import { PoolChildListSchema } from "../schemas/state/children.ts";
import { PoolListSchema, PoolSchema } from "../schemas/state/pools.ts";
import { beside, besidePipe, childFilter, page } from "./queries.ts";
import {
  callDocs,
  callResponses,
  needs,
  ok,
  pipeDocs,
  pipeResponses,
  placedResponses,
  runDocs,
  runResponses,
} from "./responses.ts";

const tags = ["Pools"];
const params = z.object({ pool: PoolNameSchema });

const placing = [
  "pool_not_found",
  "all_members_at_capacity",
  "no_members_available",
  "queue_timeout",
] as const;

const noPool = ["pool_not_found", "no_members_available"] as const;

export const callInPool = createRoute({
  operationId: "callInPool",
  method: "post",
  path: "/pools/{pool}/call",
  tags,
  security: needs("call"),
  summary: "Run a command or a function in a pool, and stream its output",
  description: `The child runs on the least loaded member of the pool. ${callDocs}`,
  request: { params, ...beside, body: jsonBody(ChildSpecSchema) },
  responses: callResponses(placing),
});

export const runInPool = createRoute({
  operationId: "runInPool",
  method: "post",
  path: "/pools/{pool}/run",
  tags,
  security: needs("call"),
  summary: "Run a command or a function in a pool, and wait for its result",
  description: `The child runs on the least loaded member of the pool. ${runDocs}`,
  request: { params, ...beside, body: jsonBody(ChildSpecSchema) },
  responses: runResponses(placing),
});

export const pipeInPool = createRoute({
  operationId: "pipeInPool",
  method: "post",
  path: "/pools/{pool}/pipe",
  tags,
  security: needs("call"),
  summary: "Send bytes through a command in a pool",
  description: `The child runs on the least loaded member of the pool. ${pipeDocs}`,
  request: { params, ...besidePipe, body: jsonBody(ChildSpecSchema) },
  responses: pipeResponses(placing),
});

export const placeChildInPool = createRoute({
  operationId: "placeChildInPool",
  method: "post",
  path: "/pools/{pool}/children",
  tags,
  security: needs("call"),
  summary: "Place a child that lives on its own in a pool",
  description:
    "The child runs on the least loaded member of the pool. It outlives its caller, and has no " +
    "deadline unless the spec or the pool sets one. Its input stays open unless the spec has one.",
  request: { params, ...beside, body: jsonBody(ChildSpecSchema) },
  responses: placedResponses(placing),
});

export const listPools = createRoute({
  operationId: "listPools",
  method: "get",
  path: "/pools",
  tags,
  security: needs(),
  summary: "List the pools that have members",
  description:
    "The pools that the token is for, sorted by name, in pages. A pool whose members all drain " +
    "or are lost is among them.",
  request: { query: z.strictObject(page) },
  responses: ok("One page of the pools.", PoolListSchema, ["no_members_available"]),
});

export const getPool = createRoute({
  operationId: "getPool",
  method: "get",
  path: "/pools/{pool}",
  tags,
  security: needs("observe"),
  summary: "Get a pool's members and their load",
  description:
    "Each member is asked for its load, and has 2 seconds to answer. Members that drain, are " +
    "sick or are lost are among them, until they leave the registry.",
  request: { params },
  responses: ok("The pool.", PoolSchema, noPool),
});

export const listPoolChildren = createRoute({
  operationId: "listPoolChildren",
  method: "get",
  path: "/pools/{pool}/children",
  tags,
  security: needs("call", "observe"),
  summary: "List a pool's children on all its members",
  description:
    "Each member is asked, also while it drains, and has 2 seconds to answer. Without the scope " +
    "`observe` the list has the caller's own children. The children are sorted by `startedAt`, " +
    "then by `id`, in pages. A child that has ended stays on the list while it is remembered.",
  request: { params, query: z.strictObject(childFilter) },
  responses: ok("One page of the children.", PoolChildListSchema, noPool),
});
