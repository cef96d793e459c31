/** Operations for load balancers and for supervisors of the server process. */
import { createRoute } from "@hono/zod-openapi";
import { json } from "../bodies.ts";
import { CountSchema, HealthSchema } from "../resources.ts";
import { problems } from "./responses.ts";

const tags = ["Operations"];

export const drain = createRoute({
  operationId: "drain",
  method: "post",
  path: "/drain",
  tags,
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
  tags,
  security: [],
  summary: "Check whether the process answers",
  responses: { 200: { description: "The process answers.", content: json(HealthSchema) } },
});

export const readyz = createRoute({
  operationId: "readyz",
  method: "get",
  path: "/readyz",
  tags,
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
