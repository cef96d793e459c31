/** Calls and children on this member alone. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { PoolError } from "../../openapi/errors.ts";
import type { PoolEvent } from "../../openapi/events.ts";
import type { ChildInfo, Count } from "../../openapi/resources.ts";
import * as routes from "../../openapi/routes.ts";
import { type CallerContext, guarded, isPermitted, permit } from "../access/permissions.ts";
import { acceptOf, CALL_FORMS } from "../answers/accept.ts";
import { CHILD_HEADER, streamLog, WaitingStream } from "../answers/events.ts";
import { streamRaw } from "../answers/stdout.ts";
import { answerAtEnd, withWaiting } from "../answers/whole.ts";
import { problemOf } from "../http/problems.ts";
import { type NodeContext, onClientGone, whileClientIsThere } from "../http/request.ts";
import type { LogReader } from "../supervisor/output/log-reader.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import type { AppOptions, Bindings } from "./context.ts";
import { fedBy, withUploads } from "./receive-uploads.ts";

export function thisMemberRoutes(
  app: OpenAPIHono<Bindings>,
  { name, supervisors, sourceCache, streamLimit, uploadReceiver, logError }: AppOptions,
): void {
  /** The supervisor of a pool, for a caller that may have it. */
  const supervisorOf = (c: CallerContext, pool: string): Supervisor => {
    permit(c, pool);
    const supervisor = supervisors.get(pool);
    if (!supervisor)
      throw PoolError.of(
        "pool_not_found",
        `member ${name} does not serve pool ${pool}; it serves ${[...supervisors.keys()].join(", ")}`,
      );
    return supervisor;
  };

  /** The pool that is asked for, or all those that the caller may see. */
  const poolsFor = (c: CallerContext, pool: string | undefined): string[] => {
    if (pool === undefined) return [...supervisors.keys()].filter((each) => isPermitted(c, each));
    permit(c, pool);
    return [pool];
  };

  app.openapi(withUploads(guarded(routes.call, streamLimit), uploadReceiver), async (c) => {
    const accept = acceptOf(c, CALL_FORMS);
    const { pool, slot, ...given } = c.req.valid("json");
    const supervisor = supervisorOf(c, pool);
    const { input } = c.var;
    const spec = fedBy(input, sourceCache.complete(given, c.var.caller.name));
    const node = c as unknown as NodeContext;
    return (await withWaiting(node, logError, async (stream) => {
      const onPosition =
        accept === "stream"
          ? (position: number) => stream.say({ type: "queued", position })
          : undefined;
      const child = await supervisor.admitWhenFree(spec, "call", {
        client: c.var.caller.name,
        slot,
        uploads: c.var.uploads,
        onPosition,
        signal: whileClientIsThere(node),
      });
      // How that ends is seen in how the child does.
      if (input)
        void child.stdin
          .write(input, true)
          .catch(() => {})
          .finally(() => input.destroy());
      // Attached from the first event on: its slowness is the child's.
      const reader = child.log.read({ lossless: true });
      const gone = () => {
        if (spec.link || accept === "json") reader.close();
        if (spec.link) child.stop("cancelled", "the caller that the child was linked to went away");
      };
      if (!node.env.outgoing.headersSent) node.env.outgoing.setHeader(CHILD_HEADER, child.id);
      if (accept === "stream") return streamLog(node, reader, gone, stream.session);
      if (accept === "raw") return streamRaw(node, reader, { gone });
      onClientGone(node, gone);
      return answerAtEnd(c, eventsOf(reader));
    })) as never;
  });

  app.openapi(withUploads(guarded(routes.placeChild, streamLimit), uploadReceiver), async (c) => {
    const { pool, slot, ...given } = c.req.valid("json");
    if (given.link)
      throw PoolError.of(
        "invalid_request",
        "expected link to be false for a placed child: it has no caller's connection to be tied to",
      );
    const signal = whileClientIsThere(c as unknown as NodeContext);
    const supervisor = supervisorOf(c, pool);
    const spec = sourceCache.complete(given, c.var.caller.name);
    const child = await supervisor.admitWhenFree(spec, "placed", {
      client: c.var.caller.name,
      slot,
      uploads: c.var.uploads,
      signal,
    });
    return c.json(child.info, 201, { location: child.reference.url });
  });

  app.openapi(guarded(routes.requestSlot, streamLimit), async (c) => {
    const accept = acceptOf(c);
    const { pool, waitMs, sandbox } = c.req.valid("json");
    const waiter = supervisorOf(c, pool).request(waitMs, c.var.caller.name, sandbox);
    const node = c as unknown as NodeContext;
    onClientGone(node, () => waiter.leave());
    if (accept === "json") {
      const slot = await waiter.granted;
      return c.json(slot, 201, { location: `/slots/${slot.id}` });
    }
    const stream = new WaitingStream(node);
    waiter.onPosition((position) => stream.say({ type: "queued", position }));
    // Open for as long as the slot is held: so a holder that is killed gives it back at once.
    void waiter.granted
      .then((slot) => stream.say({ type: "granted", slot }))
      .then(() => waiter.settled)
      .then(
        () => stream.end(),
        async (error) => stream.end(await problemOf(error, c, logError)),
      );
    return RESPONSE_ALREADY_SENT as never;
  });

  app.openapi(guarded(routes.releaseSlot, streamLimit), (c) => {
    const { id } = c.req.valid("param");
    for (const { slots, options } of supervisors.values()) {
      if (!slots.holds(id)) continue;
      permit(c, options.pool);
      slots.release(id, c.var.caller.name);
      return c.body(null, 204);
    }
    throw PoolError.of(
      "slot_not_found",
      `member ${name} holds no slot ${id}: it was taken, given back, or its time is over`,
    );
  });

  app.openapi(guarded(routes.countChildren, streamLimit), (c) =>
    c.json(countOf(name, supervisors), 200),
  );

  app.openapi(guarded(routes.listTasks, streamLimit), (c) => {
    const all = poolsFor(c, c.req.valid("query").pool).flatMap(
      (pool) => supervisors.get(pool)?.options.runtimes ?? [],
    );
    const union = (names: string[][]) => [...new Set(names.flat())].sort();
    return c.json(
      {
        member: name,
        tasks: union(all.map(({ tasks }) => tasks)),
        runtimes: union(all.map(({ names }) => names)),
      },
      200,
    );
  });

  app.openapi(guarded(routes.listChildren, streamLimit), (c) => {
    const { pool, label = [], status } = c.req.valid("query");
    const children = poolsFor(c, pool).flatMap((each) => supervisors.get(each)?.which() ?? []);
    return c.json(
      {
        children: children.filter(
          (child) =>
            (status === undefined || child.status === status) && carries(child, [label].flat()),
        ),
      },
      200,
    );
  });
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

async function* eventsOf(reader: LogReader): AsyncGenerator<PoolEvent, void, undefined> {
  for await (const { event } of reader) yield event;
}
