/** Operations on pools. Any member answers for any pool. */
import { createRoute, z } from "@hono/zod-openapi";
import { jsonBody } from "../bodies.ts";
import { PoolNameSchema } from "../schemas/names.ts";
import { PoolListSchema, PoolSchema } from "../schemas/pools.ts";
import { childFilter, PoolChildListSchema } from "../schemas/resources.ts";
import { ChildSpecSchema } from "../schemas/spec.ts";
import { callDocs, callResponses, ok, placedResponses, unknownWork } from "./responses.ts";

const tags = ["Pools"];
const params = z.object({ pool: PoolNameSchema });

const placing = [
  "all_members_at_capacity",
  "no_members_available",
  "queue_timeout",
  ...unknownWork,
] as const;

export const callInPool = createRoute({
  operationId: "callInPool",
  method: "post",
  path: "/pools/{pool}/call",
  tags,
  summary: "Run a command or a function on the least loaded member of the pool",
  description: callDocs,
  request: { params, body: jsonBody(ChildSpecSchema) },
  responses: callResponses(placing),
});

export const placeChildInPool = createRoute({
  operationId: "placeChildInPool",
  method: "post",
  path: "/pools/{pool}/children",
  tags,
  summary: "Place a child that lives on its own, on the least loaded member of the pool",
  request: { params, body: jsonBody(ChildSpecSchema) },
  responses: placedResponses([...placing, "member_lost"]),
});

export const listPools = createRoute({
  operationId: "listPools",
  method: "get",
  path: "/pools",
  tags,
  summary: "List the pools that have members",
  responses: ok("The pools.", PoolListSchema, ["no_members_available"]),
});

export const getPool = createRoute({
  operationId: "getPool",
  method: "get",
  path: "/pools/{pool}",
  tags,
  summary: "Get a pool's members and their load",
  request: { params },
  responses: ok("The pool.", PoolSchema, [
    "invalid_request",
    "pool_not_found",
    "no_members_available",
  ]),
});

export const listPoolChildren = createRoute({
  operationId: "listPoolChildren",
  method: "get",
  path: "/pools/{pool}/children",
  tags,
  summary: "List a pool's children on all its members",
  request: { params, query: z.strictObject(childFilter) },
  responses: ok("The children.", PoolChildListSchema, [
    "invalid_request",
    "pool_not_found",
    "no_members_available",
  ]),
});
