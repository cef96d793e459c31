/** Operations on the member that is asked: its children, slots and tasks, its health and drain. */
import { createRoute, z } from "@hono/zod-openapi";
import { json, jsonBody } from "../bodies.ts";
import { SlotEventSchema } from "../schemas/events.ts";
import { PoolNameSchema, SlotIdSchema } from "../schemas/names.ts";
import {
  ChildListSchema,
  CountSchema,
  childFilter,
  HealthSchema,
  SlotSchema,
  TasksSchema,
} from "../schemas/resources.ts";
import { MemberChildSpecSchema, SlotRequestSchema } from "../schemas/spec.ts";
import {
  callDocs,
  callResponses,
  ok,
  placedResponses,
  problems,
  unknownWork,
  waiting,
} from "./responses.ts";

const tags = ["This member"];

const admitting = [...waiting, "slot_not_found", ...unknownWork] as const;

export const call = createRoute({
  operationId: "call",
  method: "post",
  path: "/call",
  tags,
  summary: "Run a command or a function on this member",
  description: callDocs,
  request: { body: jsonBody(MemberChildSpecSchema) },
  responses: callResponses(admitting),
});

export const placeChild = createRoute({
  operationId: "placeChild",
  method: "post",
  path: "/children",
  tags,
  summary: "Place a child on this member",
  request: { body: jsonBody(MemberChildSpecSchema) },
  responses: placedResponses(admitting),
});

export const listChildren = createRoute({
  operationId: "listChildren",
  method: "get",
  path: "/children",
  tags,
  summary: "List this member's children, with those that ended a short time ago",
  request: { query: z.strictObject({ pool: PoolNameSchema.optional(), ...childFilter }) },
  responses: ok("The children.", ChildListSchema, ["invalid_request"]),
});

export const countChildren = createRoute({
  operationId: "countChildren",
  method: "get",
  path: "/children/count",
  tags,
  summary: "Get this member's load by pool: the probe of placement",
  responses: ok("The load.", CountSchema, []),
});

export const requestSlot = createRoute({
  operationId: "requestSlot",
  method: "post",
  path: "/slots",
  tags,
  summary: "Wait for a slot of this member and hold it for a short time",
  description:
    "Callers take turns, and each caller's requests are served in the order of their arrival. A " +
    "closed connection withdraws the request and returns a slot that was granted meanwhile. A " +
    "slot that no child takes in time becomes free by itself.",
  request: { body: jsonBody(SlotRequestSchema) },
  responses: {
    200: {
      description:
        "`Accept: text/event-stream` or none gives a stream: `queued` with each change of the " +
        "position, then `granted` or `failed`.",
      content: { "text/event-stream": { schema: SlotEventSchema } },
    },
    201: {
      description: "`Accept: application/json` gives the slot once it is granted.",
      content: json(SlotSchema),
    },
    ...problems(["invalid_request", ...waiting, "sandbox_unavailable"]),
  },
});

export const releaseSlot = createRoute({
  operationId: "releaseSlot",
  method: "delete",
  path: "/slots/{id}",
  tags,
  summary: "Return a slot that this member holds",
  request: { params: z.object({ id: SlotIdSchema }) },
  responses: {
    204: { description: "The slot is free." },
    ...problems(["invalid_request", "slot_not_found"]),
  },
});

export const listTasks = createRoute({
  operationId: "listTasks",
  method: "get",
  path: "/tasks",
  tags,
  summary: "List this member's tasks and runtimes, in one pool or in all",
  request: { query: z.strictObject({ pool: PoolNameSchema.optional() }) },
  responses: ok("Their names.", TasksSchema, ["invalid_request"]),
});

export const drain = createRoute({
  operationId: "drain",
  method: "post",
  path: "/drain",
  tags: ["Operations"],
  summary: "Admit no more children, finish and deliver those that run, leave, and end the process",
  description:
    "The member answers at once, and repeated requests change nothing. Children that still run " +
    "after its `--drain-ms` are stopped: `cancelled`.",
  responses: {
    202: {
      description: "The member drains. The counts show what still runs.",
      content: json(CountSchema),
    },
    ...problems([]),
  },
});

export const livez = createRoute({
  operationId: "livez",
  method: "get",
  path: "/livez",
  tags: ["Operations"],
  security: [],
  summary: "Check whether the process answers",
  responses: { 200: { description: "The process answers.", content: json(HealthSchema) } },
});

export const readyz = createRoute({
  operationId: "readyz",
  method: "get",
  path: "/readyz",
  tags: ["Operations"],
  security: [],
  summary: "Check whether the member is in its pools and admits children",
  responses: {
    200: { description: "The member is ready.", content: json(HealthSchema) },
    503: {
      description: "The member is not ready; `detail` gives the reason.",
      content: json(HealthSchema),
    },
  },
});
