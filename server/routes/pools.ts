/** The pools, over all members: this member as the gateway. */
import * as routes from "../../openapi/routes.ts";
import { isPermitted } from "../access/permissions.ts";
import { acceptOf, CALL_FORMS } from "../answers/accept.ts";
import { callThrough, through } from "../answers/gateway.ts";
import type { AppOptions } from "./context.ts";
import { fedBy } from "./receive-uploads.ts";
import type { Register } from "./register.ts";
import { refuseLink } from "./this-member.ts";

export function poolRoutes(on: Register, options: AppOptions): void {
  const { sourceCache, inFlight } = options;

  on.upload(routes.callInPool, (c) => {
    const form = acceptOf(c, CALL_FORMS);
    inFlight.add(c.env.outgoing);
    const { pool } = c.req.valid("param");
    const { uploads, input, caller } = c.var;
    const spec = fedBy(input, sourceCache.complete(c.req.valid("json"), caller.name));
    return callThrough(c, options, { pool, spec, form, parts: uploads?.parts, input });
  });

  on.upload(routes.placeChildInPool, async (c) => {
    const { pool } = c.req.valid("param");
    const { uploads, caller } = c.var;
    const spec = sourceCache.complete(c.req.valid("json"), caller.name);
    refuseLink(spec);
    inFlight.add(c.env.outgoing);
    const { access, signal } = through(c, options);
    const child = await access.placeChild(pool, spec, { signal, parts: uploads?.parts });
    return c.json(child, 201, { location: child.url });
  });

  on.route(routes.listPools, async (c) => {
    const { pools } = await through(c, options).access.pools();
    return c.json({ pools: pools.filter(({ pool }) => isPermitted(c, pool)) }, 200);
  });

  on.route(routes.getPool, async (c) =>
    c.json(await through(c, options).access.pool(c.req.valid("param").pool), 200),
  );

  on.route(routes.listPoolChildren, async (c) => {
    const { label = [], status } = c.req.valid("query");
    const { pool } = c.req.valid("param");
    const filter = { labels: [label].flat(), status };
    return c.json(await through(c, options).access.children(pool, filter), 200);
  });
}
