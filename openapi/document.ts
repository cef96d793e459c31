/** The OpenAPI document of the contract, built from the routes. */
import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import { bodyOfUpload } from "./bodies.ts";
import { EXAMPLES } from "./routes/examples.ts";
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

type Content = Readonly<Record<string, object>>;

/** The content with its examples. */
function withExamples(content: Content = {}, examples: Content = {}): Content {
  const withOwn = Object.entries(content).map(([type, media]) => {
    const own = Object.entries(examples[type] ?? {}).map(([name, value]) => [name, { value }]);
    return [type, own.length > 0 ? { ...media, examples: Object.fromEntries(own) } : media];
  });
  return Object.fromEntries(withOwn);
}

/** The route as the document shows it. */
function documented(route: Route): RouteConfig {
  const { request, responses } = route as RouteConfig;
  const { request: ofRequest, answers = {} } = EXAMPLES[route.operationId] ?? {};
  const description = `${route.description}\n\n${scopeOf(route)}`;
  const withAnswers = Object.entries(responses).map(([status, answer]) => {
    const content = "content" in answer ? (answer.content as Content) : undefined;
    return [
      status,
      content
        ? { ...answer, content: withExamples(content, answers[Number(status)] as Content) }
        : answer,
    ];
  });
  const shown = { ...route, description, responses: Object.fromEntries(withAnswers) };
  if (!request?.body) return shown;
  const { content, ...body } = bodyOfUpload(route.path, request.body);
  return {
    ...shown,
    request: {
      ...request,
      body: { ...body, content: withExamples(content as Content, ofRequest as Content) },
    },
  } as RouteConfig;
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
