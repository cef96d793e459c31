/** Calls and children on this member alone. */
import type { Context } from "hono";
import { PoolError } from "../../openapi/errors.ts";
import type { ChildInfo, Count } from "../../openapi/resources.ts";
import * as routes from "../../openapi/routes.ts";
import { isPermitted, permit } from "../access/permissions.ts";
import { acceptOf, CALL_FORMS } from "../answers/accept.ts";
import { answerCall } from "../answers/call.ts";
import { withEarlyStream } from "../answers/events.ts";
import { whileClientIsThere } from "../http/request.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import type { AppOptions } from "./context.ts";
import { fedBy } from "./receive-uploads.ts";
import type { Register } from "./register.ts";

export function thisMemberRoutes(on: Register, options: AppOptions): void {
  const { name, supervisors, sourceCache, logError } = options;

  on.upload(routes.call, async (c) => {
    const form = acceptOf(c, CALL_FORMS);
    const { pool, slot, ...given } = c.req.valid("json");
    const supervisor = supervisorOf(c, pool, options);
    const { input, uploads, caller } = c.var;
    const spec = fedBy(input, sourceCache.complete(given, caller.name));
    return withEarlyStream(c, logError, async (stream) => {
      const child = await supervisor.admitWhenFree(spec, "call", {
        client: caller.name,
        slot,
        uploads,
        onPosition:
          form === "stream" ? (position) => stream.write({ type: "queued", position }) : undefined,
        signal: whileClientIsThere(c),
      });
      return answerCall(c, child, { form, link: spec.link, input, stream });
    });
  });

  on.upload(routes.placeChild, async (c) => {
    const { pool, slot, ...given } = c.req.valid("json");
    refuseLink(given);
    const signal = whileClientIsThere(c);
    const { uploads, caller } = c.var;
    const supervisor = supervisorOf(c, pool, options);
    const spec = sourceCache.complete(given, caller.name);
    const claim = { client: caller.name, slot, uploads, signal };
    const child = await supervisor.admitWhenFree(spec, "placed", claim);
    return c.json(child.info, 201, { location: child.reference.url });
  });

  on.route(routes.countChildren, (c) => c.json(countOf(name, supervisors), 200));

  on.route(routes.listTasks, (c) => {
    const pools = poolsFor(c, c.req.valid("query").pool, options);
    const all = pools.flatMap((pool) => supervisors.get(pool)?.options.runtimes ?? []);
    const union = (names: string[][]) => [...new Set(names.flat())].sort();
    const tasks = union(all.map(({ tasks }) => tasks));
    return c.json({ member: name, tasks, runtimes: union(all.map(({ names }) => names)) }, 200);
  });

  on.route(routes.listChildren, (c) => {
    const { pool, label = [], status } = c.req.valid("query");
    const children = poolsFor(c, pool, options)
      .flatMap((each) => supervisors.get(each)?.which() ?? [])
      .filter((child) => status === undefined || child.status === status)
      .filter((child) => carries(child, [label].flat()));
    return c.json({ children }, 200);
  });
}

/** The supervisor of a pool, for a caller who may use the pool. @throws {PoolError} `forbidden`, `pool_not_found`. */
export function supervisorOf(
  c: Context,
  pool: string,
  { name, supervisors }: Pick<AppOptions, "name" | "supervisors">,
): Supervisor {
  permit(c, pool);
  const supervisor = supervisors.get(pool);
  if (!supervisor)
    throw PoolError.of(
      "pool_not_found",
      `member ${name} does not serve pool ${pool}; it serves ${[...supervisors.keys()].join(", ")}`,
    );
  return supervisor;
}

/** The pool that the caller names, or all those that the caller may see. */
function poolsFor(c: Context, pool: string | undefined, { supervisors }: AppOptions): string[] {
  if (pool === undefined) return [...supervisors.keys()].filter((each) => isPermitted(c, each));
  permit(c, pool);
  return [pool];
}

/** @throws {PoolError} `invalid_request` for a placed child that is linked: its caller keeps no connection. */
export function refuseLink({ link }: { readonly link: boolean }): void {
  if (link)
    throw PoolError.of(
      "invalid_request",
      "expected link to be false for a placed child: it has no caller's connection to be tied to",
    );
}

/** Whether a child carries all of the labels, each `NAME=VALUE` or a `NAME`. */
function carries(child: ChildInfo, labels: readonly string[]): boolean {
  return labels.every((label) =>
    Object.entries(child.labels).some(
      ([name, value]) => label === name || label === `${name}=${value}`,
    ),
  );
}

/** A member's load by pool. */
export function countOf(member: string, supervisors: AppOptions["supervisors"]): Count {
  return {
    member,
    pools: Object.fromEntries(
      [...supervisors].map(([pool, supervisor]) => [pool, supervisor.count()]),
    ),
  };
}
