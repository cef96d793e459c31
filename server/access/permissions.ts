/** States what each operation needs of its caller, and refuses callers that do not have it. */
import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { uploadAt } from "../../openapi/bodies.ts";
import { PoolError } from "../../openapi/errors.ts";
import type { Route } from "../../openapi/routes.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { onOver } from "../http/response.ts";
import type { Caller, Scope } from "./caller.ts";
import type { StreamLimit } from "./rate-limit.ts";

interface Need {
  /**
   * The caller needs one of these scopes in the pool of the request. If the list is empty, any
   * token will do.
   */
  readonly scopes: readonly Scope[];
  /**
   * The direction of the stream that the operation keeps open. Each direction has its own count: a
   * call through another member opens one stream for its output, and one for its input.
   */
  readonly stream?: "output" | "input" | undefined;
}

/**
 * The stream that an operation keeps open: it sends events or raw bytes, or waits for the end of a
 * child. Without a child spec in it, a streamed body is itself the stream.
 */
function streamOf({ path, responses, operationId }: Route): Need["stream"] {
  if (operationId === "childResult") return "output";
  const upload = uploadAt(path);
  if (upload?.input === "streamed") return upload.spec ? "output" : "input";
  const answers: readonly object[] = Object.values(responses);
  const types = answers.flatMap((answer) =>
    Object.keys(("content" in answer && answer.content) || {}),
  );
  return types.some((type) => STREAMED_TYPES.has(type)) ? "output" : undefined;
}

const STREAMED_TYPES = new Set(["text/event-stream", "application/octet-stream"]);

/** The needs of an operation. The contract states its scopes. */
export function needOf(route: Route): Need {
  const scopes = route.security.flatMap((need) => ("bearer" in need ? need.bearer : []));
  return { scopes, stream: streamOf(route) };
}

/** The variables of a request that has passed the check of its caller. */
export interface CallerVariables {
  readonly caller: Caller;
  /** The name under which the rate and the streams of this caller are counted. */
  readonly client: string;
  /** The needs of the operation that the request asks for. */
  readonly need: Need;
}

/** The part of a handler's context that a check of permissions reads. */
export interface CallerContext {
  get<K extends keyof CallerVariables>(key: K): CallerVariables[K];
}

function refusal(c: CallerContext, pool?: string): PoolError {
  const [caller, need] = [c.get("caller"), c.get("need")];
  const scopes = [...new Set([...need.scopes, "admin"])].join(" or ");
  const where = pool === undefined ? "" : ` in pool ${pool}`;
  return PoolError.of("forbidden", `${caller.name} may not: expected scope ${scopes}${where}`);
}

/** @throws {PoolError} `forbidden` for a caller without any of the scopes of the operation. */
export function checkScopes(c: CallerContext): void {
  const { scopes } = c.get("need");
  if (scopes.length > 0 && !c.get("caller").has(scopes)) throw refusal(c);
}

/** The check of the caller, which runs in front of a route's handler. */
export function checkCaller(
  route: Route,
  streams: StreamLimit,
): MiddlewareHandler<{ Bindings: HttpBindings; Variables: CallerVariables }> {
  const need = needOf(route);
  return async (c, next) => {
    c.set("need", need);
    const [caller, client] = [c.get("caller"), c.get("client")];
    checkScopes(c);
    const pool = c.req.param("pool");
    if (pool !== undefined) permit(c, pool);
    if (need.stream) {
      const close = streams.open(`${need.stream} ${client}`, caller.quotas.maxStreams);
      if (!close)
        throw PoolError.of(
          "too_many_requests",
          `${caller.name} has as many streams open here as it may`,
        );
      onOver(c.env.outgoing, close);
    }
    await next();
  };
}

/** The facts on which the permissions of a child depend. */
type Owned = Pick<ChildInfo, "pool" | "owner">;

/** Whether the caller may see the child: `observe` sees the pool's children, `call` its own. */
export function seesChild(c: CallerContext, { pool, owner }: Owned): boolean {
  const caller = c.get("caller");
  return caller.may(["observe"], pool) || (caller.name === owner && caller.may(["call"], pool));
}

/** Whether the caller may see the command of the child, which may have secrets in it. */
export function seesCommand(c: CallerContext, { pool, owner }: Owned): boolean {
  const caller = c.get("caller");
  return caller.name === owner || caller.may(["admin"], pool);
}

/** The child as the caller may see it. */
export function shownTo(c: CallerContext, child: ChildInfo): ChildInfo {
  if (child.command === undefined || seesCommand(c, child)) return child;
  const { command: _, ...shown } = child;
  return shown;
}

/** The children that the caller may see, as it may see them. */
export const viewOf = (c: CallerContext) => ({
  sees: (child: ChildInfo) => seesChild(c, child),
  show: (child: ChildInfo) => shownTo(c, child),
});

/**
 * Lets an operation look at a child that the caller sees, or act on its own one.
 *
 * @throws {PoolError} `forbidden` where the caller sees the child and may not act on it.
 */
export function permitOnChild(c: CallerContext, { pool, owner }: Owned): void {
  permit(c, pool);
  const [caller, need] = [c.get("caller"), c.get("need")];
  if (need.scopes.includes("observe") || caller.name === owner || caller.may(["admin"], pool))
    return;
  throw PoolError.of("forbidden", `${caller.name} may not: the child belongs to another caller`);
}

/** Whether the caller has a scope that the operation needs, in this pool. */
export function isPermitted(c: CallerContext, pool: string): boolean {
  const [caller, need] = [c.get("caller"), c.get("need")];
  return caller.may(need.scopes.length === 0 ? ["call", "observe"] : need.scopes, pool);
}

/**
 * @throws {PoolError} `forbidden` where the caller lacks the scopes that the operation needs in
 * this pool.
 */
export function permit(c: CallerContext, pool: string): void {
  if (!isPermitted(c, pool)) throw refusal(c, pool);
}
