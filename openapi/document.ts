/** The OpenAPI document of the contract, built from the routes. */
import { OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
import { formsOf } from "./bodies.ts";
import { canonical } from "./documents/canonical.ts";
import type { Node } from "./documents/walk.ts";
import { ROUTES } from "./routes.ts";
import * as endings from "./schemas/endings.ts";
import * as events from "./schemas/events.ts";
import * as functions from "./schemas/functions.ts";
import * as limits from "./schemas/limits.ts";
import * as names from "./schemas/names.ts";
import * as pools from "./schemas/pools.ts";
import * as problems from "./schemas/problem.ts";
import * as resources from "./schemas/resources.ts";
import * as spec from "./schemas/spec.ts";
import * as values from "./schemas/values.ts";

const INFO = {
  title: "distributed-pool",
  version: "0.2.0",
  summary: "Run a piece of work on the least loaded machine of a named pool.",
  description:
    "Members join named pools and admit at most `maxChildren` children each. Any member places a " +
    "call in any pool, on the least loaded of its members, and streams the child's output and " +
    "its ending as server-sent events. Problems are RFC 9457 with a stable `code`. Unknown keys " +
    "are refused.",
  contact: { name: "The operator of the member" },
  license: { name: "MIT", identifier: "MIT" },
};

const TAGS = [
  {
    name: "Pools",
    description: "Placement on the members of a pool. Any member answers for any pool.",
  },
  {
    name: "This member",
    description: "Admission by this member alone, with its children and its load.",
  },
  {
    name: "Children",
    description:
      "One child, by its id. A child id names its member, so any member forwards to the owner.",
  },
  { name: "Operations", description: "For load balancers and supervisors of the process." },
];

/** The files of schemas, in the order of the document. */
const SCHEMAS = [
  names,
  values,
  limits,
  functions,
  spec,
  problems,
  resources,
  pools,
  endings,
  events,
];

function withForms(route: RouteConfig): RouteConfig {
  const { request } = route;
  const forms = formsOf(route.path);
  if (!request?.body || !forms) return route;
  const content = { ...request.body.content, ...forms };
  return { ...route, request: { ...request, body: { ...request.body, content } } };
}

/** Names and lists of words come before the objects that describe them for one use. */
const order = ([name, schema]: readonly [string, z.ZodType]) =>
  `${schema instanceof z.ZodString || schema instanceof z.ZodEnum ? 0 : 1}${name}`;

/**
 * Registers each schema under its name in the code, without `Schema`. So none takes its description
 * from the place of its first use. A schema that no operation uses goes from the document again.
 */
function registerSchemas({ openAPIRegistry: registry }: OpenAPIHono): void {
  for (const file of SCHEMAS) {
    const schemas = Object.entries<unknown>(file).flatMap(([name, schema]) =>
      schema instanceof z.ZodType ? [[name.replace(/Schema$/, ""), schema] as const] : [],
    );
    for (const entry of schemas.toSorted((a, b) => (order(a) < order(b) ? -1 : 1)))
      registry.register(...entry);
  }
}

/** Builds the canonical document, OpenAPI 3.1. */
export function buildDocument() {
  const app = new OpenAPIHono();
  registerSchemas(app);
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description:
      "Members with a token file or JWTs require it: a token of the file, or a JWT with `sub`, " +
      "`exp`, `scope` (`call`, `observe`, `admin`) and `pools`.",
  });
  for (const route of ROUTES) app.openAPIRegistry.registerPath(withForms(route));
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: INFO,
    servers: [{ url: "/", description: "The member that serves this page." }],
    security: [{ bearer: [] }],
    tags: TAGS,
  });
  return canonical(document as typeof document & Node, events.EVENT_MESSAGES);
}
