/** The HTTP face of a member: the contract's routes, one place for limits, one for errors. */
import type { HttpBindings } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { problem } from "../openapi/errors.ts";
import type { SandboxLevel } from "../openapi/schemas.ts";
import { PoolError } from "../sdk/typescript/errors.ts";
import { type GatewayOptions, MEMBER_HEADER } from "./gateway.ts";
import { invalidFields, problemOf, problemResponse } from "./problems.ts";
import { childRoutes } from "./routes/children.ts";
import { operationRoutes } from "./routes/operations.ts";
import { poolRoutes } from "./routes/pools.ts";
import { thisMemberRoutes } from "./routes/this-member.ts";
import type { Supervisor } from "./supervisor/supervisor.ts";

export type Bindings = { Bindings: HttpBindings };

export interface AppOptions extends GatewayOptions {
  /** The member's name. */
  readonly name: string;
  /** What holds its children. */
  readonly sandbox: SandboxLevel;
  /** The supervisors by pool. */
  readonly supervisors: ReadonlyMap<string, Supervisor>;
  /** A larger request body is refused. */
  readonly maxBodyBytes: number;
  /** Why the member is not ready; undefined when it is. */
  trouble(): string | undefined;
  logError(message: string): void;
}

/** The form of answer that a caller of `call` wants. */
export function acceptOf(c: Context): "stream" | "json" {
  const accept = c.req.header("accept")?.toLowerCase() ?? "*/*";
  if (accept.includes("text/event-stream")) return "stream";
  if (/application\/(json|\*)/.test(accept)) return "json";
  if (accept.includes("*/*") || accept.includes("text/*")) return "stream";
  throw PoolError.of("invalid_request", `expected Accept: text/event-stream or application/json; got ${accept}`);
}

export function createApp(options: AppOptions): OpenAPIHono<Bindings> {
  const app = new OpenAPIHono<Bindings>({
    defaultHook: (result, c) => (result.success ? undefined : problemResponse(c, invalidFields(result.error.issues))),
  });
  const { maxBodyBytes } = options;
  app.use(async (c, next) => {
    // On the Node response itself, so that streams carry it too.
    c.env.outgoing?.setHeader(MEMBER_HEADER, options.name);
    await next();
  });
  app.use(
    bodyLimit({ maxSize: maxBodyBytes, onError: (c) => problemResponse(c, problem("payload_too_large", `expected a body of at most ${maxBodyBytes} bytes`)) }),
  );
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
