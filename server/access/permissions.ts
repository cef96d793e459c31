/** What each operation wants of its caller. An operation that is missing here does not compile. */
import type { Context, MiddlewareHandler } from "hono";
import { PoolError } from "../../openapi/errors.ts";
import type { ROUTES } from "../../openapi/routes.ts";
import type { NodeContext } from "../http/request.ts";
import { onOver } from "../http/response.ts";
import type { Caller, Scope } from "./caller.ts";
import type { StreamLimit } from "./rate-limit.ts";

interface Need {
  /** One of these, in the pool that is concerned; any token will do when there are none. */
  readonly scopes: readonly Scope[];
  /**
   * Which way the operation holds the caller's connection open. Each way has its own count: a call that
   * comes through another member, with its input on a connection of its own, opens one stream each way.
   */
  readonly stream?: "output" | "input";
}

type Route = (typeof ROUTES)[number];
type OperationOf<R> = R extends { method: infer M extends string; path: infer P extends string }
  ? `${M} ${P}`
  : never;

const NEEDS: Readonly<Record<OperationOf<Route>, Need>> = {
  "post /pools/{pool}/call": { scopes: ["call"], stream: "output" },
  "post /pools/{pool}/children": { scopes: ["call"] },
  "get /pools": { scopes: [] },
  "get /pools/{pool}": { scopes: ["observe"] },
  "get /pools/{pool}/children": { scopes: ["call", "observe"] },
  "post /call": { scopes: ["call"], stream: "output" },
  "post /children": { scopes: ["call"] },
  "get /children": { scopes: ["call", "observe"] },
  "get /children/count": { scopes: [] },
  "post /slots": { scopes: ["call"], stream: "output" },
  "delete /slots/{id}": { scopes: ["call"] },
  "get /tasks": { scopes: ["call", "observe"] },
  "get /children/{id}": { scopes: ["call", "observe"] },
  "delete /children/{id}": { scopes: ["call"] },
  "get /children/{id}/events": { scopes: ["call", "observe"], stream: "output" },
  "get /children/{id}/files/{path}": { scopes: ["call", "observe"] },
  "post /children/{id}/stdin": { scopes: ["call"], stream: "input" },
  "post /children/{id}/signal": { scopes: ["call"] },
  "post /drain": { scopes: ["admin"] },
  "get /livez": { scopes: [] },
  "get /readyz": { scopes: [] },
};

/** What is known of a request behind the door. */
export interface CallerVariables {
  readonly caller: Caller;
  /** Whom its rate and its streams are counted for. */
  readonly client: string;
  /** What its operation wants. */
  readonly need: Need;
}

type CalledContext = Context<{ Variables: CallerVariables }>;

/** A context as the helpers here take it, whatever else its handler knows of it. */
const calledOf = (c: Context) => c as unknown as CalledContext;

function refusal(c: Context, pool: string | undefined): PoolError {
  const { caller, need } = calledOf(c).var;
  const wanted = [...need.scopes, "admin"].join(" or ");
  return PoolError.of(
    "forbidden",
    `${caller.name} may not: expected scope ${wanted}${pool === undefined ? "" : ` in pool ${pool}`}`,
  );
}

/** The route with the check of its caller before everything else. `{path}` may hold slashes. */
export function guarded<R extends Route>(route: R, streams: StreamLimit): R {
  const need = NEEDS[`${route.method} ${route.path}` as OperationOf<Route>];
  const middleware: MiddlewareHandler = async (c, next) => {
    calledOf(c).set("need", need);
    const { caller, client } = calledOf(c).var;
    if (need.scopes.length > 0 && !caller.has(need.scopes)) throw refusal(c, undefined);
    const pool = c.req.param("pool");
    if (pool !== undefined) permit(c, pool);
    if (need.stream) {
      const close = streams.open(`${need.stream} ${client}`);
      if (!close)
        throw PoolError.of(
          "too_many_requests",
          `${caller.name} has as many streams open here as it may`,
        );
      onOver((c as unknown as NodeContext).env.outgoing, close);
    }
    await next();
  };
  return { ...route, path: route.path.replace("/{path}", "/:path{[\\s\\S]+}"), middleware };
}

/** Whether the caller has what the operation wants, in this pool. */
export function isPermitted(c: Context, pool: string): boolean {
  const { caller, need } = calledOf(c).var;
  return need.scopes.length === 0
    ? caller.may(["call", "observe"], pool)
    : caller.may(need.scopes, pool);
}

/** Refuses a caller that has not what the operation wants, in this pool. @throws {PoolError} `forbidden`. */
export function permit(c: Context, pool: string): void {
  if (!isPermitted(c, pool)) throw refusal(c, pool);
}
