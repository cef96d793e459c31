/** The pools, over all members: this member as the gateway. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import * as routes from "../../openapi/routes.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";
import { type AppOptions, acceptOf, type Bindings } from "../app.ts";
import { callThrough } from "../gateway.ts";
import type { NodeContext } from "../stream.ts";

export function poolRoutes(app: OpenAPIHono<Bindings>, options: AppOptions): void {
  const { access } = options;

  app.openapi(routes.callInPool, async (c) => {
    const accept = acceptOf(c);
    const { pool } = c.req.valid("param");
    return (await callThrough(c as unknown as NodeContext, options, pool, c.req.valid("json"), accept)) as never;
  });

  app.openapi(routes.placeChildInPool, async (c) => {
    const { pool } = c.req.valid("param");
    const spec = c.req.valid("json");
    if (spec.link) throw PoolError.of("invalid_request", "expected link to be false for a placed child: it has no caller's connection to be tied to");
    const child = await access.placeChild(pool, spec);
    return c.json(child, 201, { location: child.url });
  });

  app.openapi(routes.listPools, async (c) => c.json(await access.pools(), 200));
  app.openapi(routes.getPool, async (c) => c.json(await access.pool(c.req.valid("param").pool), 200));
  app.openapi(routes.listPoolChildren, async (c) => c.json(await access.children(c.req.valid("param").pool), 200));
}
