/** The HTTP face of a member: the contract's routes, one place for limits, one for errors. */
import type { HttpBindings } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { problem } from "../../openapi/errors.ts";
import type { SandboxLevel } from "../../openapi/schemas.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";
import type { Auth } from "../access/auth.ts";
import { ANYONE } from "../access/caller.ts";
import type { GatewayOptions } from "../answers/gateway.ts";
import { closeAfter, hasEnd } from "../http/response.ts";
import type { Pending } from "../http/in-flight.ts";
import type { Called } from "../access/permissions.ts";
import { invalidFields, problemOf, problemResponse } from "../http/problems.ts";
import type { Rates, Streams } from "../access/rate-limit.ts";
import { childRoutes } from "./children.ts";
import { operationRoutes } from "./operations.ts";
import { poolRoutes } from "./pools.ts";
import { thisMemberRoutes } from "./this-member.ts";
import type { Sources } from "./source-cache.ts";
import { isStreamed } from "../http/body-timeout.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import type { Received, UploadReceiver } from "./receive-uploads.ts";

export type Bindings = { Bindings: HttpBindings; Variables: Called & Received };

export interface AppOptions extends GatewayOptions {
  /** The member's name. */
  readonly name: string;
  /** What holds its children. */
  readonly sandbox: SandboxLevel;
  /** The supervisors by pool. */
  readonly supervisors: ReadonlyMap<string, Supervisor>;
  /** Sources that callers may name by their hashes. */
  readonly sources: Sources;
  /** A larger request body is refused. */
  maxBodyBytes(): number;
  /** Takes files that come beside a spec. */
  readonly receiver: UploadReceiver;
  /** Who is calling; without it, anyone. */
  readonly auth: Auth | undefined;
  /** Refuses what comes from other sites' pages. */
  readonly door: (c: Context) => void;
  readonly rates: Rates;
  readonly streams: Streams;
  /** Calls that pass through this member, and when the last request came. */
  readonly calls: Pending;
  /** Begins to drain, if it has not yet. */
  drain(): void;
  /** Whether it drains: connections are not kept then, so that nothing is sent on one that is about to be closed. */
  isDraining(): boolean;
  /** Why the member is not ready; undefined when it is. */
  trouble(): string | undefined;
}

/** Asked by load balancers and supervisors of the process, which have no token and any name for this host. */
const PROBES = new Set(["/livez", "/readyz"]);
/** Placement asks this of many members for one call. */
const LOAD_PROBE = "/children/count";

/** Lets in who may call, as often as they may. */
function admission({ auth, door, rates, calls }: AppOptions): MiddlewareHandler<Bindings> {
  return async (c, next) => {
    const { path } = c.req;
    const address = c.env.incoming?.socket.remoteAddress ?? "unknown";
    c.set("caller", ANYONE);
    c.set("client", address);
    if (PROBES.has(path)) return next();
    calls.touch();
    door(c);
    const count = (client: string, name: string) => {
      if (!rates.take(client)) throw PoolError.of("too_many_requests", `${name} sends more requests a second than it may`);
    };
    if (auth) {
      try {
        const caller = await auth.callerOf(c.req.header("authorization"));
        c.set("caller", caller);
        c.set("client", `token ${caller.name}`);
      } catch (error) {
        count(address, address);
        throw error;
      }
    }
    if (path !== LOAD_PROBE) count(c.var.client, auth ? c.var.caller.name : address);
    return next();
  };
}

/** The header by which a member says who it is. */
const MEMBER_HEADER = "pool-member";

/** The form of answer that a caller wants. */
export type Form = "stream" | "json" | "raw";

/** Those of a call. */
export const CALL_FORMS = ["stream", "json", "raw"] as const satisfies readonly Form[];

const MEDIA_TYPES: Readonly<Record<Form, string>> = { stream: "text/event-stream", raw: "application/octet-stream", json: "application/json" };

/** @param forms those that there are, the stream among them. */
export function acceptOf(c: Context, forms: readonly Form[] = ["stream", "json"]): Form {
  const accept = c.req.header("accept")?.toLowerCase() ?? "*/*";
  const named = (["stream", "raw", "json"] as const).find((form) => forms.includes(form) && accept.includes(MEDIA_TYPES[form]));
  if (named === "raw" && c.env.outgoing && !hasEnd(c.env.outgoing))
    throw PoolError.of("invalid_request", `expected HTTP/1.1 or HTTP/2 for ${MEDIA_TYPES.raw}; got a request of HTTP/1.0, which knows no trailers`);
  if (named) return named;
  if (forms.includes("json") && accept.includes("application/*")) return "json";
  if (accept.includes("*/*") || accept.includes("text/*")) return "stream";
  throw PoolError.of("invalid_request", `expected Accept: ${forms.map((form) => MEDIA_TYPES[form]).join(" or ")}; got ${accept}`);
}

export function createApp(options: AppOptions): OpenAPIHono<Bindings> {
  const app = new OpenAPIHono<Bindings>({
    defaultHook: (result, c) => (result.success ? undefined : problemResponse(c, invalidFields(result.error.issues))),
  });
  app.use(async (c, next) => {
    // On the Node response itself, so that streams carry it too.
    c.env.outgoing?.setHeader(MEMBER_HEADER, options.name);
    if (options.isDraining() && c.env.outgoing) closeAfter(c.env.outgoing);
    await next();
  });
  app.use(admission(options));
  app.use((c, next) => {
    if (c.env.incoming && isStreamed(c.env.incoming)) return next();
    const maxSize = options.maxBodyBytes();
    const onError = (refused: Context) => problemResponse(refused, problem("payload_too_large", `expected a body of at most ${maxSize} bytes`));
    return bodyLimit({ maxSize, onError })(c, next);
  });
  app.onError(async (error, c) => problemResponse(c, await problemOf(error, c, options.logError)));
  app.notFound((c) =>
    problemResponse(c, problem("not_found", `there is nothing at ${c.req.method} ${c.req.path}; the contract is at /openapi.json and /docs`)),
  );
  // Longer paths first where a parameter could swallow a word: `/children/count` before `/children/{id}`.
  thisMemberRoutes(app, options);
  poolRoutes(app, options);
  childRoutes(app, options);
  operationRoutes(app, options);
  return app;
}
