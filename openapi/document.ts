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

const BESIDE =
  'The child spec is beside it, as JSON: in the header `pool-spec`, in ASCII, or in the query, `?spec={"command":["cat"]}`.';
const STREAMED = `The child's input, as it is: sent to the child while the answer comes, nothing of it kept. ${BESIDE} The client has to read the answer while it sends; when it goes before the end of the body, the child is stopped.`;
const KEPT = `The child's input, as it is: kept until it is whole. ${BESIDE}`;

/** The operations whose body may be of other kinds too, which are read piece by piece, so the routes themselves know nothing of them. */
const WITH_FILES: Readonly<Record<string, { readonly spec: string; readonly input: string }>> = {
  callInPool: { spec: "ChildSpec", input: STREAMED },
  placeChildInPool: { spec: "ChildSpec", input: KEPT },
  call: { spec: "MemberChildSpec", input: STREAMED },
  placeChild: { spec: "MemberChildSpec", input: KEPT },
};

function multipart(spec: string) {
  return {
    schema: {
      type: "object" as const,
      required: ["spec"],
      properties: {
        spec: { $ref: `#/components/schemas/${spec}` },
        stdin: {
          ...binary,
          description: "What the child reads on its standard input; kept until it is whole.",
        },
      },
      additionalProperties: {
        ...binary,
        description: "A file for the workspace; the part's name is its path there.",
      },
    },
    encoding: { spec: { contentType: "application/json" } },
  };
}

function documented(route: (typeof ROUTES)[number]): RouteConfig {
  const { request } = route as RouteConfig;
  const others = WITH_FILES[route.operationId];
  if (others === undefined || !request?.body) return route;
  return {
    ...route,
    request: {
      ...request,
      body: {
        ...request.body,
        content: {
          ...request.body.content,
          "multipart/form-data": multipart(others.spec),
          "application/octet-stream": { schema: { ...binary, description: others.input } },
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
      {
        name: "Pools",
        description: "Placement over the members of a pool. Any member answers for any pool.",
      },
      {
        name: "This member",
        description: "Admission by this member alone, its children and its load.",
      },
      {
        name: "Children",
        description:
          "One child, by its id. A child id carries its member, so any member forwards to the owner.",
      },
      { name: "Operations", description: "For load balancers and supervisors of the process." },
    ],
  });
}
