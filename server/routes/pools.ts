/** The pools, over all members: this member as the gateway. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { PoolError } from "../../openapi/errors.ts";
import * as routes from "../../openapi/routes.ts";
import { guarded, isPermitted } from "../access/permissions.ts";
import { acceptOf, CALL_FORMS } from "../answers/accept.ts";
import { accessFor, callThrough } from "../answers/gateway.ts";
import { type NodeContext, whileClientIsThere } from "../http/request.ts";
import type { AppOptions, Bindings } from "./context.ts";
import { fedBy, withUploads } from "./receive-uploads.ts";

export function poolRoutes(app: OpenAPIHono<Bindings>, options: AppOptions): void {
  const { sourceCache, streamLimit, uploadReceiver } = options;

  app.openapi(withUploads(guarded(routes.callInPool, streamLimit), uploadReceiver), async (c) => {
    const accept = acceptOf(c, CALL_FORMS);
    options.inFlight.add(c.env.outgoing);
    const { pool } = c.req.valid("param");
    const { uploads, input } = c.var;
    const spec = fedBy(input, sourceCache.complete(c.req.valid("json"), c.var.caller.name));
    return (await callThrough(
      c as unknown as NodeContext,
      options,
      { pool, spec, parts: uploads?.parts, input },
      accept,
    )) as never;
  });

  app.openapi(
    withUploads(guarded(routes.placeChildInPool, streamLimit), uploadReceiver),
    async (c) => {
      const { pool } = c.req.valid("param");
      const spec = sourceCache.complete(c.req.valid("json"), c.var.caller.name);
      if (spec.link)
        throw PoolError.of(
          "invalid_request",
          "expected link to be false for a placed child: it has no caller's connection to be tied to",
        );
      options.inFlight.add(c.env.outgoing);
      const child = await accessFor(c, options).placeChild(pool, spec, {
        signal: whileClientIsThere(c as unknown as NodeContext),
        parts: c.var.uploads?.parts,
      });
      return c.json(child, 201, { location: child.url });
    },
  );

  app.openapi(guarded(routes.listPools, streamLimit), async (c) => {
    const { pools } = await accessFor(c, options).pools();
    return c.json({ pools: pools.filter(({ pool }) => isPermitted(c, pool)) }, 200);
  });

  app.openapi(guarded(routes.getPool, streamLimit), async (c) =>
    c.json(await accessFor(c, options).pool(c.req.valid("param").pool), 200),
  );

  app.openapi(guarded(routes.listPoolChildren, streamLimit), async (c) => {
    const { label = [], status } = c.req.valid("query");
    return c.json(
      await accessFor(c, options).children(c.req.valid("param").pool, {
        labels: [label].flat(),
        status,
      }),
      200,
    );
  });
}
