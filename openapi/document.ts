/** The OpenAPI document of the contract, built from the routes. */
import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import { ROUTES } from "./routes.ts";

const INFO = {
  title: "distributed-pool",
  version: "0.1.0",
  summary: "Run a piece of work on the least loaded machine of a named pool.",
  description:
    "Members join named pools and admit at most `maxChildren` children each. Any member places a call in any pool, on the least loaded of its members, and streams the child's output and its ending as server-sent events. Problems are RFC 9457 with a stable `code`. Unknown keys are refused.",
  license: { name: "MIT", identifier: "MIT" },
};

const binary = { type: "string", format: "binary" } as const;

/** The operations whose body may be multipart too, by the name of their spec. It is read piece by piece, so the routes themselves know nothing of it. */
const WITH_FILES: Readonly<Record<string, string>> = {
  callInPool: "ChildSpec",
  placeChildInPool: "ChildSpec",
  call: "MemberChildSpec",
  placeChild: "MemberChildSpec",
};

function multipart(spec: string) {
  return {
    schema: {
      type: "object" as const,
      required: ["spec"],
      properties: { spec: { $ref: `#/components/schemas/${spec}` }, stdin: { ...binary, description: "What the child reads on its standard input." } },
      additionalProperties: { ...binary, description: "A file for the workspace; the part's name is its path there." },
    },
    encoding: { spec: { contentType: "application/json" } },
  };
}

function documented(route: (typeof ROUTES)[number]): RouteConfig {
  const { request } = route as RouteConfig;
  const spec = WITH_FILES[route.operationId];
  if (spec === undefined || !request?.body) return route;
  return {
    ...route,
    request: {
      ...request,
      body: {
        ...request.body,
        content: {
          ...request.body.content,
          "multipart/form-data": multipart(spec),
          "application/octet-stream": {
            schema: { ...binary, description: 'The child\'s input, as it is; the spec is in the query: `?spec={"command":["cat"]}`.' },
          },
        },
      },
    },
  };
}

/** Builds the canonical document, OpenAPI 3.1. */
export function buildDocument() {
  const app = new OpenAPIHono();
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description:
      "Wanted by members that have a token file or take JWTs: a token of the file, or a JWT with `sub`, `exp`, `scope` (`call`, `observe`, `admin`) and `pools`.",
  });
  for (const route of ROUTES) app.openAPIRegistry.registerPath(documented(route));
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: INFO,
    servers: [{ url: "/", description: "The member that serves this page." }],
    security: [{ bearer: [] }],
    tags: [
      { name: "Pools", description: "Placement over the members of a pool. Any member answers for any pool." },
      { name: "This member", description: "Admission by this member alone, its children and its load." },
      { name: "Children", description: "One child, by its id. A child id carries its member, so any member forwards to the owner." },
      { name: "Operations", description: "For load balancers and supervisors of the process." },
    ],
  });
}
