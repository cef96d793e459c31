/** The pools, over all members: this member as the gateway. */
import type { Context } from "hono";
import * as routes from "../../openapi/routes.ts";
import type { ChildInfo } from "../../openapi/schemas/resources.ts";
import { nextOf, pageOf } from "../../sdk/typescript/placement/pages.ts";
import { isPermitted, seesChild } from "../access/permissions.ts";
import { acceptOf, CALL_FORMS } from "../answers/accept.ts";
import { callThrough } from "../answers/gateway.ts";
import { ownMember } from "../answers/own-member.ts";
import { whileClientIsThere } from "../http/request.ts";
import type { AppOptions, Bindings } from "./context.ts";
import { fedBy } from "./receive-uploads.ts";
import type { Register } from "./register.ts";
import { refuseLink } from "./this-member.ts";

export function poolRoutes(on: Register, options: AppOptions): void {
  const { sourceCache, inFlight } = options;

  const called = [
    [routes.callInPool, CALL_FORMS],
    [routes.runInPool, ["json"]],
    [routes.pipeInPool, ["raw"]],
  ] as const;
  for (const [route, forms] of called)
    on(route, (c) => {
      const form = acceptOf(c, forms);
      inFlight.add(c.env.outgoing);
      const { pool } = c.req.valid("param");
      const { uploads, input, caller } = c.var;
      const spec = fedBy(input, sourceCache.complete(c.req.valid("json"), caller.name));
      const access = accessFor(c, options);
      return callThrough(c, options, { pool, spec, form, access, uploads, input });
    });

  on(routes.placeChildInPool, async (c) => {
    const { pool } = c.req.valid("param");
    const { uploads, caller } = c.var;
    const spec = sourceCache.complete(c.req.valid("json"), caller.name);
    refuseLink(spec);
    inFlight.add(c.env.outgoing);
    const placing = { signal: whileClientIsThere(c), parts: uploads?.parts };
    const child = await accessFor(c, options).placeChild(pool, spec, placing);
    return c.json(child, 201, { location: child.url });
  });

  on(routes.listPools, async (c) => {
    const { pools } = await accessFor(c, options).pools();
    const permitted = pools.filter(({ pool }) => isPermitted(c, pool));
    const page = pageOf(permitted, { ...c.req.valid("query"), keyOf: ({ pool }) => pool });
    return c.json({ pools: [...page.entries], ...nextOf(page) }, 200);
  });

  on(routes.getPool, async (c) =>
    c.json(await accessFor(c, options).pool(c.req.valid("param").pool), 200),
  );

  on(routes.listPoolChildren, async (c) => {
    const { label: labels, ...filter } = c.req.valid("query");
    const { pool } = c.req.valid("param");
    const access = accessFor(c, options);
    return c.json(await access.childrenPage(pool, { ...filter, labels }), 200);
  });
}

/**
 * The pools as the caller reaches them. Other members get the caller's token; this one is asked in
 * process.
 */
function accessFor(c: Context<Bindings>, options: AppOptions) {
  const { caller, uploads } = c.var;
  const sees = (child: ChildInfo) => seesChild(c, child);
  const own = ownMember(options, { client: caller.name, uploads, sees });
  return options.access.as(c.req.header("authorization"), own);
}
