/** Calls and children on this member alone. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { PoolEvent } from "../../openapi/events.ts";
import * as routes from "../../openapi/routes.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";
import { type AppOptions, acceptOf, type Bindings } from "../app.ts";
import { clientOf, guarded, isPermitted, permit } from "../permissions.ts";
import { type NodeContext, onClientGone, streamLog } from "../stream.ts";
import type { LogReader } from "../supervisor/output.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { answerAtEnd } from "../waiting.ts";

export function thisMemberRoutes(app: OpenAPIHono<Bindings>, { name, supervisors, sources, streams }: AppOptions): void {
  /** The supervisor of a pool, for a caller that may have it. */
  const supervisorOf = (c: Context, pool: string): Supervisor => {
    permit(c, pool);
    const supervisor = supervisors.get(pool);
    if (!supervisor) throw PoolError.of("pool_not_found", `member ${name} does not serve pool ${pool}; it serves ${[...supervisors.keys()].join(", ")}`);
    return supervisor;
  };

  app.openapi(guarded(routes.call, streams), async (c) => {
    const accept = acceptOf(c);
    const { pool, ...given } = c.req.valid("json");
    const supervisor = supervisorOf(c, pool);
    const child = supervisor.admit(sources.complete(given, c.var.caller.name), "call", { client: clientOf(c) });
    // Attached from the first event on: its slowness is the child's.
    const reader = child.log.read({ lossless: true });
    const gone = () => {
      reader.close();
      if (given.link) child.stop("cancelled", "the caller that the child was linked to went away");
    };
    if (accept === "stream") return (await streamLog(c as unknown as NodeContext, reader, gone)) as never;
    onClientGone(c as unknown as NodeContext, gone);
    return (await answerAtEnd(c, eventsOf(reader))) as never;
  });

  app.openapi(guarded(routes.placeChild, streams), (c) => {
    const { pool, ...given } = c.req.valid("json");
    if (given.link) throw PoolError.of("invalid_request", "expected link to be false for a placed child: it has no caller's connection to be tied to");
    const supervisor = supervisorOf(c, pool);
    const child = supervisor.admit(sources.complete(given, c.var.caller.name), "placed", { client: clientOf(c) });
    return c.json(child.info, 201, { location: child.reference.url });
  });

  app.openapi(guarded(routes.countChildren, streams), (c) =>
    c.json({ member: name, pools: Object.fromEntries([...supervisors].map(([pool, supervisor]) => [pool, supervisor.count()])) }, 200),
  );

  app.openapi(guarded(routes.listTasks, streams), (c) => {
    const all = [...supervisors.values()].map(({ options }) => options.runtimes);
    const union = (names: string[][]) => [...new Set(names.flat())].sort();
    return c.json({ member: name, tasks: union(all.map(({ tasks }) => tasks)), runtimes: union(all.map(({ names }) => names)) }, 200);
  });

  app.openapi(guarded(routes.listChildren, streams), (c) => {
    const { pool } = c.req.valid("query");
    if (pool !== undefined) permit(c, pool);
    const asked = pool === undefined ? [...supervisors.keys()].filter((each) => isPermitted(c, each)) : [pool];
    return c.json({ children: asked.flatMap((each) => supervisors.get(each)?.which() ?? []) }, 200);
  });
}

async function* eventsOf(reader: LogReader): AsyncGenerator<PoolEvent, void, undefined> {
  for await (const { data } of reader) yield JSON.parse(data) as PoolEvent;
}
