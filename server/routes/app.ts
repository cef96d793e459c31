/** The HTTP application of a member: the contract's routes behind the checks of all requests. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { PoolError, problem } from "../../openapi/errors.ts";
import { recordRequest } from "../access/audit.ts";
import { ANYONE } from "../access/caller.ts";
import { cors } from "../access/cors.ts";
import { receiveJson } from "../http/bodies/receive-json.ts";
import { isStreamed } from "../http/body-timeout.ts";
import { invalidFields, problemOf, problemResponse } from "../http/problems.ts";
import { readNodeHeaders } from "../http/request.ts";
import { closeAfter } from "../http/response.ts";
import { Turnstile } from "../http/turnstile.ts";
import { childInputRoutes, childOutputRoutes, childRoutes } from "./children.ts";
import type { AppOptions, Bindings } from "./context.ts";
import { feedRoutes } from "./feed.ts";
import { checkMethod } from "./methods.ts";
import { operationRoutes } from "./operations.ts";
import { isPage, pages } from "./pages/web-pages.ts";
import { poolRoutes } from "./pools.ts";
import { registerAt } from "./register.ts";
import { slotRoutes } from "./slots.ts";
import { thisMemberRoutes } from "./this-member.ts";

/**
 * These paths need no token and accept any `Host`, because load balancers and supervisors of the
 * process ask them.
 */
const PROBES = new Set(["/livez", "/readyz"]);
/** This path does not count in a caller's rate: placement asks many members for one call. */
const LOAD_PROBE = "/children/count";

/** Admits a request whose caller is known and stays within its rate. */
function admission({
  auth,
  browserGuard,
  rateLimit,
  inFlight,
  connections,
}: AppOptions): (c: Context<Bindings>) => Promise<void> {
  return async (c) => {
    const { path } = c.req;
    const address = c.env.incoming?.socket.remoteAddress ?? "unknown";
    c.set("caller", ANYONE);
    c.set("client", address);
    if (PROBES.has(path)) return;
    inFlight.touch();
    browserGuard(c);
    const count = (client: string, name: string) => {
      if (!rateLimit.take(client, c.get("caller").quotas.maxRate))
        throw PoolError.of("too_many_requests", `${name} sends more requests a second than it may`);
    };
    // The pages hold no data, and ask for a token themselves.
    if (auth && !isPage(path)) {
      try {
        const caller = await auth.callerOf(c.req.header("authorization"));
        c.set("caller", caller);
        c.set("client", `token ${caller.name}`);
      } catch (error) {
        count(address, address);
        throw error;
      }
    }
    const { caller, client } = { caller: c.get("caller"), client: c.get("client") };
    if (path !== LOAD_PROBE) count(client, caller === ANYONE ? address : caller.name);
    if (c.env.incoming) connections.know(c.env.incoming.socket);
  };
}

/** The header that names the member which answers. */
const MEMBER_HEADER = "pool-member";

export function createApp(options: AppOptions): OpenAPIHono<Bindings> {
  const app = new OpenAPIHono<Bindings>({
    defaultHook: (result, c) =>
      result.success ? undefined : problemResponse(c, invalidFields(result.error.issues)),
  });
  const turnstile = new Turnstile();
  const answerPreflight = cors(options.corsOrigins);
  const admit = admission(options);
  // One handler for all checks: each step between handlers takes the router and its caller time.
  app.use(async (c, next) => {
    if (!PROBES.has(c.req.path)) await turnstile.enter();
    readNodeHeaders(c);
    // On the Node response itself, so that streams carry it too.
    c.env.outgoing?.setHeader(MEMBER_HEADER, options.name);
    c.set("heartbeatMs", options.heartbeatMs());
    const { incoming, outgoing } = c.env;
    if (options.isDraining() && outgoing) closeAfter(outgoing);
    const preflight = answerPreflight(c);
    if (preflight) return preflight;
    await admit(c);
    checkMethod(c);
    if (!incoming || !isStreamed(incoming)) await receiveJson(c, options);
    await next();
    if (!c.error) recordRequest(c, options);
    return undefined;
  });
  app.onError(async (error, c) => {
    const answer = await problemOf(error, c, options.logError);
    recordRequest(c, options, answer);
    return problemResponse(c, answer, error);
  });
  app.notFound((c) =>
    problemResponse(
      c,
      problem(
        "not_found",
        `there is nothing at ${c.req.method} ${c.req.path}; ` +
          "the contract is at /openapi.json and /docs",
      ),
    ),
  );
  // `/children/count` comes before `/children/{id}`, whose parameter would match `count` too.
  const on = registerAt(app, options);
  thisMemberRoutes(on, options);
  slotRoutes(on, options);
  poolRoutes(on, options);
  feedRoutes(on, options);
  childRoutes(on, options);
  childInputRoutes(on, options);
  childOutputRoutes(on, options);
  operationRoutes(on, options);
  for (const [path, page] of Object.entries(pages(options)))
    app.get(path.replace("{path}", ":path{.+}").replace(/{(\w+)}$/, ":$1"), page);
  return app;
}
