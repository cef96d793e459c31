/** Calls and children on this member alone. */
import { PoolError } from "../../openapi/errors.ts";
import * as routes from "../../openapi/routes.ts";
import type { ChildInfo } from "../../openapi/schemas/resources.ts";
import { nextOf } from "../../sdk/typescript/placement/pages.ts";
import { type CallerContext, isPermitted, permit, seesChild } from "../access/permissions.ts";
import { acceptOf, CALL_FORMS } from "../answers/accept.ts";
import { answerCall } from "../answers/call.ts";
import { withEarlyStream } from "../answers/events.ts";
import { whileClientIsThere } from "../http/request.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import {
  childrenOf,
  countOf,
  supervisorOf,
  type ThisMember,
  tasksOf,
} from "../supervisor/this-member.ts";
import type { AppOptions } from "./context.ts";
import { fedBy } from "./receive-uploads.ts";
import type { Register } from "./register.ts";

export function thisMemberRoutes(on: Register, options: AppOptions): void {
  const { sourceCache, logError } = options;

  const called = [
    [routes.call, CALL_FORMS],
    [routes.run, ["json"]],
    [routes.pipe, ["raw"]],
  ] as const;
  for (const [route, forms] of called)
    on(route, async (c) => {
      const form = acceptOf(c, forms);
      const { pool, slot, ...given } = c.req.valid("json");
      const supervisor = permittedSupervisor(c, pool, options);
      const { input, uploads, caller } = c.var;
      const spec = fedBy(input, sourceCache.complete(given, caller.name));
      return withEarlyStream(c, logError, async (stream) => {
        const child = await supervisor.admitWhenFree(spec, "call", {
          client: caller.name,
          slot,
          uploads,
          onPosition:
            form === "stream"
              ? (position) => stream.write({ type: "queued", position })
              : undefined,
          signal: whileClientIsThere(c),
        });
        return answerCall(c, child, { spec, form, input, opened: stream.session });
      });
    });

  on(routes.placeChild, async (c) => {
    const { pool, slot, ...given } = c.req.valid("json");
    refuseLink(given);
    const signal = whileClientIsThere(c);
    const { uploads, caller } = c.var;
    const supervisor = permittedSupervisor(c, pool, options);
    const spec = sourceCache.complete(given, caller.name);
    const claim = { client: caller.name, slot, uploads, signal };
    const child = await supervisor.admitWhenFree(spec, "placed", claim);
    return c.json(child.info, 201, { location: child.reference.url });
  });

  on(routes.countChildren, (c) => c.json(countOf(options), 200));

  on(routes.listTasks, (c) =>
    c.json(tasksOf(options, poolsFor(c, c.req.valid("query").pool, options)), 200),
  );

  on(routes.listChildren, (c) => {
    const { pool, label: labels, ...filter } = c.req.valid("query");
    const sees = (child: ChildInfo) => seesChild(c, child);
    const page = childrenOf(options, poolsFor(c, pool, options), { ...filter, labels, sees });
    return c.json({ children: [...page.entries], ...nextOf(page) }, 200);
  });
}

/**
 * The supervisor of a pool.
 *
 * @throws {PoolError} `forbidden` where the caller may not use the pool; `pool_not_found`.
 */
export function permittedSupervisor(
  c: CallerContext,
  pool: string,
  member: ThisMember,
): Supervisor {
  permit(c, pool);
  return supervisorOf(member, pool);
}

/**
 * The pool that the caller names, or all pools that the caller may see.
 *
 * @throws {PoolError} as {@link permittedSupervisor} does.
 */
function poolsFor(c: CallerContext, pool: string | undefined, member: ThisMember): string[] {
  if (pool === undefined)
    return [...member.supervisors.keys()].filter((each) => isPermitted(c, each));
  permittedSupervisor(c, pool, member);
  return [pool];
}

/**
 * Refuses to place a linked child, whose caller keeps no connection.
 *
 * @throws {PoolError} `invalid_request`.
 */
export function refuseLink({ link }: { readonly link: boolean }): void {
  if (link)
    throw PoolError.of(
      "invalid_request",
      "expected link to be false for a placed child: it has no caller's connection to be tied to",
    );
}
