/** The OpenAPI document of the contract, built from the routes. */
import { OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
import { bodyOfUpload } from "./bodies.ts";
import { canonical } from "./documents/canonical.ts";
import { EVENT_MESSAGES } from "./documents/event-messages.ts";
import type { Node } from "./documents/walk.ts";
import { EXAMPLES } from "./routes/examples.ts";
import { HEADERS } from "./routes/headers.ts";
import { ROUTES, type Route } from "./routes.ts";
import * as endings from "./schemas/endings.ts";
import * as events from "./schemas/events.ts";
import * as functions from "./schemas/functions.ts";
import * as limits from "./schemas/limits.ts";
import * as names from "./schemas/names.ts";
import * as problems from "./schemas/problem.ts";
import * as resources from "./schemas/resources.ts";
import * as spec from "./schemas/spec.ts";
import * as children from "./schemas/state/children.ts";
import * as feed from "./schemas/state/feed.ts";
import * as history from "./schemas/state/history.ts";
import * as pools from "./schemas/state/pools.ts";
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
  children,
  pools,
  endings,
  events,
  feed,
  history,
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

/**
 * Builds the canonical document, OpenAPI 3.1.
 *
 * @param publicUrl the server that it names. Default: the one that serves the document.
 */
export function buildDocument(publicUrl = "/") {
  const app = new OpenAPIHono();
  registerSchemas(app);
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description:
      "Members with a token file or JWTs require it: a token of the file, or a JWT with `sub`, " +
      "`exp`, `scope` (`call`, `observe`, `admin`) and `pools`. An operation that lists several " +
      "scopes needs one of them; `admin` stands for each. `call` reaches the children that the " +
      "same caller placed. `observe` sees all children of its pools, with their output. A child " +
      "that the caller may not see is `child_not_found`.",
  });
  for (const [name, header] of Object.entries(HEADERS))
    app.openAPIRegistry.registerComponent("headers", name, header);
  for (const route of ROUTES) app.openAPIRegistry.registerPath(documented(route));
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: INFO,
    servers: [
      {
        url: publicUrl,
        description:
          publicUrl === "/" ? "The member that serves this page." : "The members, through a proxy.",
      },
    ],
    security: [{ bearer: [] }],
    tags: TAGS,
  });
  return canonical(document as typeof document & Node, EVENT_MESSAGES);
}
