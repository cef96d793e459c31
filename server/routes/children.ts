/** One child by its id: answered here when it is ours, else forwarded to its owner. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { ErrorCode } from "../../openapi/errors.ts";
import { PoolError } from "../../openapi/errors.ts";
import { memberOfChild } from "../../openapi/names.ts";
import * as routes from "../../openapi/routes.ts";
import { isWorkspacePath } from "../../openapi/values.ts";
import { type CallerContext, guarded, permit } from "../access/permissions.ts";
import { acceptOf } from "../answers/accept.ts";
import { CHILD_HEADER, sendFile, streamLog } from "../answers/events.ts";
import {
  forwardEvents,
  forwardFile,
  forwardJson,
  forwardRaw,
  forwardStdin,
} from "../answers/gateway.ts";
import { firstByteOf, streamRaw } from "../answers/stdout.ts";
import { bodyOf, type NodeContext } from "../http/request.ts";
import type { Child } from "../supervisor/child.ts";
import type { AppOptions, Bindings } from "./context.ts";

export function childRoutes(app: OpenAPIHono<Bindings>, options: AppOptions): void {
  const { name, supervisors, streamLimit } = options;

  /**
   * The child if it is this member's to know, for a caller that may have it; undefined when another member owns it, and decides.
   *
   * @param forgotten what one that has been forgotten is called.
   */
  const own = (
    c: CallerContext,
    id: string,
    forgotten: ErrorCode = "child_not_found",
  ): Child | undefined => {
    if (memberOfChild(id) !== name) return undefined;
    for (const supervisor of supervisors.values()) {
      const child = supervisor.find(id);
      if (!child && !supervisor.hasForgotten(id)) continue;
      permit(c, supervisor.options.pool);
      if (!child)
        throw PoolError.of(forgotten, `child ${id} has ended, and member ${name} has let go of it`);
      return child;
    }
    throw PoolError.of("child_not_found", `member ${name} has no child ${id}`);
  };

  app.openapi(guarded(routes.getChild, streamLimit), async (c) => {
    const { id } = c.req.valid("param");
    const child = own(c, id);
    return child ? c.json(child.info, 200) : ((await forwardJson(c, options, id)) as never);
  });

  app.openapi(guarded(routes.stopChild, streamLimit), async (c) => {
    const { id } = c.req.valid("param");
    const { graceMs } = c.req.valid("query");
    const child = own(c, id);
    if (!child)
      return (await forwardJson(c, options, id, {
        method: "DELETE",
        path: graceMs === undefined ? "" : `?graceMs=${graceMs}`,
      })) as never;
    child.stop(
      "cancelled",
      "the child was stopped on request",
      graceMs === undefined ? undefined : Number(graceMs),
    );
    return c.json(child.info, 202);
  });

  app.openapi(guarded(routes.signalChild, streamLimit), async (c) => {
    const { id } = c.req.valid("param");
    const body = c.req.valid("json");
    const child = own(c, id);
    if (!child)
      return (await forwardJson(c, options, id, {
        method: "POST",
        path: "/signal",
        body,
      })) as never;
    await child.signal(body.signal);
    return c.json(child.info, 202);
  });

  app.openapi(guarded(routes.writeStdin, streamLimit), async (c) => {
    const { id } = c.req.valid("param");
    const { end } = c.req.valid("query");
    const child = own(c, id);
    const body = bodyOf(c as unknown as NodeContext);
    try {
      if (!child)
        return (await forwardStdin(c as unknown as NodeContext, options, id, body, end)) as never;
      return c.json({ bytes: await child.stdin.write(body, end === "true") }, 200);
    } finally {
      body.destroy();
    }
  });

  app.openapi(guarded(routes.childEvents, streamLimit), async (c) => {
    const { id } = c.req.valid("param");
    const { range, "last-event-id": last } = c.req.valid("header");
    const after = last === undefined ? undefined : Number(last);
    const node = c as unknown as NodeContext;
    const accept = acceptOf(c, ["stream", "raw"]);
    const child = own(c, id, "events_expired");
    if (accept === "stream") {
      if (!child) return (await forwardEvents(node, options, id, after)) as never;
      return after !== undefined && child.log.endsWith(after)
        ? c.body(null, 204)
        : ((await streamLog(node, child.log.read({ after }))) as never);
    }
    const from = firstByteOf(range);
    if (from !== undefined && after !== undefined)
      throw PoolError.of("invalid_request", "expected one of Range and Last-Event-ID; got both");
    if (!child) return (await forwardRaw(node, options, id, { after, stdoutFrom: from })) as never;
    const reader = child.log.read({ after, stdoutFrom: from, whole: true });
    node.env.outgoing.setHeader(CHILD_HEADER, id);
    return streamRaw(node, reader, { from }) as never;
  });

  app.openapi(guarded(routes.getChildFile, streamLimit), async (c) => {
    const { id, path } = c.req.valid("param");
    if (!isWorkspacePath(path))
      throw PoolError.of(
        "invalid_request",
        "/path: expected a path in the workspace: relative, without empty names, . and ..",
      );
    const child = own(c, id);
    if (!child) return (await forwardFile(c as unknown as NodeContext, options, id, path)) as never;
    const file = child.artifacts?.open(path);
    if (!file)
      throw PoolError.of("not_found", `child ${id} left no artifact ${JSON.stringify(path)}`);
    return sendFile(c as unknown as NodeContext, file.stream, {
      "content-type": "application/octet-stream",
      "content-length": String(file.bytes),
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(path.slice(path.lastIndexOf("/") + 1)).replaceAll("'", "%27")}`,
    }) as never;
  });
}
