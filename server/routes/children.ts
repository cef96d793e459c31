/** One child by its id: answered here when it is ours, else forwarded to its owner. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import * as routes from "../../openapi/routes.ts";
import { memberOfChild } from "../../openapi/schemas.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";
import type { AppOptions, Bindings } from "../app.ts";
import { forwardEvents, forwardJson } from "../gateway.ts";
import { type NodeContext, streamLog } from "../stream.ts";
import type { Child } from "../supervisor/child.ts";

export function childRoutes(app: OpenAPIHono<Bindings>, options: AppOptions): void {
  const { name, supervisors } = options;

  /** The child if it is this member's to know; undefined when another member owns it. */
  const own = (id: string): Child | undefined => {
    if (memberOfChild(id) !== name) return undefined;
    for (const supervisor of supervisors.values()) {
      const child = supervisor.find(id);
      if (child) return child;
    }
    throw PoolError.of("child_not_found", `member ${name} has no child ${id}, or has let go of it`);
  };

  app.openapi(routes.getChild, async (c) => {
    const { id } = c.req.valid("param");
    const child = own(id);
    return child ? c.json(child.info, 200) : ((await forwardJson(c, options, id, "GET")) as never);
  });

  app.openapi(routes.stopChild, async (c) => {
    const { id } = c.req.valid("param");
    const child = own(id);
    if (!child) return (await forwardJson(c, options, id, "DELETE")) as never;
    supervisors.get(child.reference.pool)?.terminate(id);
    return c.json(child.info, 202);
  });

  app.openapi(routes.childEvents, async (c) => {
    const { id } = c.req.valid("param");
    const after = c.req.valid("header")["last-event-id"];
    const child = own(id);
    if (!child) return (await forwardEvents(c as unknown as NodeContext, options, id, after)) as never;
    return (await streamLog(c as unknown as NodeContext, child.log.read(after === undefined ? {} : { after: Number(after) }))) as never;
  });
}
