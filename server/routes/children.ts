/** One child by its id. Its own member answers; any other member forwards the request. */
import { PoolError } from "../../openapi/errors.ts";
import { memberOfChild } from "../../openapi/names.ts";
import { isWorkspacePath } from "../../openapi/paths.ts";
import * as routes from "../../openapi/routes.ts";
import { jsonText } from "../../sdk/typescript/http/raw-json.ts";
import { within } from "../../sdk/typescript/time/within.ts";
import { type CallerContext, permitOnChild, seesChild, shownTo } from "../access/permissions.ts";
import { acceptOf } from "../answers/accept.ts";
import { nameChild, sendEvents } from "../answers/events.ts";
import { RemoteChild } from "../answers/remote/remote-child.ts";
import { through } from "../answers/remote/through.ts";
import { sendFile } from "../answers/send.ts";
import { checkRange, contentRange, firstByteOf, sendStdout } from "../answers/stdout.ts";
import { bodyOf, type NodeContext } from "../http/request.ts";
import type { Child } from "../supervisor/child.ts";
import { forgotten, unknownChild } from "../supervisor/this-member.ts";
import type { AppOptions } from "./context.ts";
import type { Register } from "./register.ts";

/** The operations on a child itself: look at it, wait for its end, stop it. */
export function childRoutes(on: Register, options: AppOptions): void {
  const find = finder(options);

  on(routes.getChild, async (c) => {
    const { id } = c.req.valid("param");
    const child = await find(c, id);
    if (child instanceof RemoteChild) return child.json();
    child.measure();
    return c.json(shownTo(c, child.info), 200);
  });

  on(routes.childResult, async (c) => {
    const { id } = c.req.valid("param");
    const { waitMs = 0 } = c.req.valid("query");
    const child = await find(c, id);
    if (child instanceof RemoteChild) return child.result(waitMs);
    nameChild(c, id);
    if (waitMs > 0) await within(waitMs, child.finished);
    const { terminal } = child.log;
    if (!terminal) return c.body(null, 204);
    const { type: _, ...ending } = terminal;
    const body = jsonText({ child: child.reference, ...ending });
    return c.body(body, 200, { "content-type": "application/json" });
  });

  on(routes.stopChild, async (c) => {
    const { id } = c.req.valid("param");
    const { graceMs } = c.req.valid("query");
    const child = await find(c, id);
    if (child instanceof RemoteChild) {
      const query = graceMs === undefined ? "" : `?graceMs=${graceMs}`;
      return child.json(query, { method: "DELETE" });
    }
    child.stop("cancelled", "the child was stopped on request", graceMs);
    return c.json(shownTo(c, child.info), 202);
  });
}

/** The operations on what a child takes: signals, the size of its terminal, its input. */
export function childInputRoutes(on: Register, options: AppOptions): void {
  const find = finder(options);

  on(routes.signalChild, async (c) => {
    const { id } = c.req.valid("param");
    const body = c.req.valid("json");
    const child = await find(c, id);
    if (child instanceof RemoteChild) return child.json("/signal", { method: "POST", body });
    await child.signal(body.signal);
    return c.json(shownTo(c, child.info), 202);
  });

  on(routes.resizeTty, async (c) => {
    const { id } = c.req.valid("param");
    const body = c.req.valid("json");
    const child = await find(c, id);
    if (child instanceof RemoteChild) return child.json("/tty", { method: "POST", body });
    await child.resize(body);
    return c.json(shownTo(c, child.info), 202);
  });

  on(routes.writeStdin, async (c) => {
    const { id } = c.req.valid("param");
    const { end } = c.req.valid("query");
    const child = await find(c, id);
    const body = bodyOf(c);
    try {
      // No limit: the child may leave the body unread for as long as it lives.
      if (child instanceof RemoteChild) options.inFlight.add(c.env.outgoing);
      if (child instanceof RemoteChild)
        return await child.json(`/stdin?end=${end}`, { method: "POST", body, timeoutMs: 0 });
      return c.json({ bytes: await child.stdin.write(body, end === "true") }, 200);
    } finally {
      body.destroy();
    }
  });
}

/** The operations on the output of a child: its events, its stdout and its artifacts. */
export function childOutputRoutes(on: Register, options: AppOptions): void {
  const find = finder(options);

  on(routes.childEvents, async (c) => {
    const { id } = c.req.valid("param");
    const { range, "last-event-id": last } = c.req.valid("header");
    const after = last === undefined ? undefined : Number(last);
    const form = acceptOf(c, ["stream", "raw"]);
    const child = await find(c, id);
    if (form === "stream") {
      if (child instanceof RemoteChild) return child.events(after);
      if (after !== undefined && child.log.endsWith(after)) return c.body(null, 204);
      return sendEvents(c, child.log.read({ after }));
    }
    if (range !== undefined && after !== undefined)
      throw PoolError.of("invalid_request", "expected one of Range and Last-Event-ID; got both");
    if (child instanceof RemoteChild) return child.stdout({ after, range });
    const { log } = child;
    if (range !== undefined) checkRange(range, log);
    const from = firstByteOf(range) ?? undefined;
    const reader = log.read({ after, stdoutFrom: from, whole: true });
    nameChild(c, id);
    if (from === undefined) return sendStdout(c, reader);
    return sendStdout(c, reader, { from, range: contentRange(from, log) });
  });

  on(routes.getChildFile, async (c) => {
    const { id, path } = c.req.valid("param");
    if (!isWorkspacePath(path))
      throw PoolError.of(
        "invalid_request",
        "/path: expected a path in the workspace: relative, without empty names, . and ..",
      );
    const child = await find(c, id);
    if (child instanceof RemoteChild) return child.file(path);
    const file = child.artifacts?.open(path);
    if (!file)
      throw PoolError.of("not_found", `child ${id} left no artifact ${JSON.stringify(path)}`);
    const name = encodeURIComponent(path.slice(path.lastIndexOf("/") + 1)).replaceAll("'", "%27");
    return sendFile(c, {
      pieces: file.stream,
      // A body that is destroyed before its end may report that as an error.
      discard: () => void file.stream.on("error", () => {}).destroy(),
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(file.bytes),
        "content-disposition": `attachment; filename*=UTF-8''${name}`,
      },
    });
  });
}

/**
 * Finds a child of this member, for a caller who may see it. For a child of another member,
 * that member checks the caller.
 */
function finder(options: AppOptions) {
  const { name, supervisors, keyedStarts } = options;
  return async (c: CallerContext & NodeContext, id: string): Promise<Child | RemoteChild> => {
    if (memberOfChild(id) !== name) return new RemoteChild(c, id, through(c, options));
    await keyedStarts.settled(id);
    for (const supervisor of supervisors.values()) {
      const child = supervisor.find(id);
      const owner = child?.owner ?? supervisor.ownerOfForgotten(id);
      if (owner === undefined) continue;
      const { pool } = supervisor.options;
      // A caller that may not see the child does not learn that it exists.
      if (!seesChild(c, { pool, owner })) break;
      permitOnChild(c, { pool, owner });
      if (!child) throw forgotten(id, name);
      return child;
    }
    throw unknownChild(id, name, keyedStarts);
  };
}
