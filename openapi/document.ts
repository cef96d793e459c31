/** The OpenAPI document of the contract, built from the routes. */
import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import { bodyOfUpload } from "./bodies.ts";
import { HEADERS } from "./routes/headers.ts";
import { ROUTES, type Route } from "./routes.ts";

const INFO = {
  title: "distributed-pool",
  version: "0.1.0",
  summary: "Run a piece of work on the least loaded machine of a named pool.",
  description:
    "Members join named pools and admit at most `maxChildren` children each. Any member places a " +
    "call in any pool, on the least loaded of its members, and streams the child's output and " +
    "its ending as server-sent events. Problems are RFC 9457 with a stable `code`. Unknown keys " +
    "are refused.",
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

/** The scope of a token that the operation needs, in words. */
function scopeOf({ security }: Route): string {
  const scopes = security.flatMap((need) => ("bearer" in need ? need.bearer : []));
  if (security.length === 0) return "Needs no token.";
  if (scopes.length === 0) return "Any token will do.";
  return `Needs the scope ${scopes.map((scope) => `\`${scope}\``).join(" or ")}.`;
}

/** The route as the document shows it. */
function documented(route: Route): RouteConfig {
  const { request } = route as RouteConfig;
  const description = `${route.description}\n\n${scopeOf(route)}`;
  if (!request?.body) return { ...route, description };
  const body = bodyOfUpload(route.path, request.body);
  return { ...route, description, request: { ...request, body } };
}

/** Builds the canonical document, OpenAPI 3.1. */
export function buildDocument() {
  const app = new OpenAPIHono();
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description:
      "Members with a token file or JWTs require it: a token of the file, or a JWT with `sub`, " +
      "`exp`, `scope` (`call`, `observe`, `admin`) and `pools`. An operation that lists several " +
      "scopes needs one of them; `admin` stands for each.",
  });
  for (const [name, header] of Object.entries(HEADERS))
    app.openAPIRegistry.registerComponent("headers", name, header);
  for (const route of ROUTES) app.openAPIRegistry.registerPath(documented(route));
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: INFO,
    servers: [{ url: "/", description: "The member that serves this page." }],
    security: [{ bearer: [] }],
    tags: TAGS,
  });
}
