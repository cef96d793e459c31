/** Calls and children on this member alone. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { PoolEvent } from "../../openapi/events.ts";
import * as routes from "../../openapi/routes.ts";
import type { ChildInfo } from "../../openapi/schemas.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";
import { type AppOptions, acceptOf, type Bindings } from "../app.ts";
import { guarded, isPermitted, permit } from "../permissions.ts";
import { type NodeContext, onClientGone, streamLog } from "../stream.ts";
import type { LogReader } from "../supervisor/output.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { answerAtEnd } from "../waiting.ts";

export function thisMemberRoutes(app: OpenAPIHono<Bindings>, { name, supervisors, streams }: AppOptions): void {
  /** The supervisor of a pool, for a caller that may have it. */
  const supervisorOf = (c: Context, pool: string): Supervisor => {
    permit(c, pool);
    const supervisor = supervisors.get(pool);
    if (!supervisor) throw PoolError.of("pool_not_found", `member ${name} does not serve pool ${pool}; it serves ${[...supervisors.keys()].join(", ")}`);
    return supervisor;
  };

  app.openapi(guarded(routes.call, streams), async (c) => {
    const accept = acceptOf(c);
    const { pool, ...spec } = c.req.valid("json");
    const child = supervisorOf(c, pool).admit(spec, "call");
    // Attached from the first event on: its slowness is the child's.
    const reader = child.log.read({ lossless: true });
    const gone = () => {
      reader.close();
      if (spec.link) child.stop("cancelled", "the caller that the child was linked to went away");
    };
    if (accept === "stream") return (await streamLog(c as unknown as NodeContext, reader, gone)) as never;
    onClientGone(c as unknown as NodeContext, gone);
    return (await answerAtEnd(c, eventsOf(reader))) as never;
  });

  app.openapi(guarded(routes.placeChild, streams), (c) => {
    const { pool, ...spec } = c.req.valid("json");
    if (spec.link) throw PoolError.of("invalid_request", "expected link to be false for a placed child: it has no caller's connection to be tied to");
    const child = supervisorOf(c, pool).admit(spec, "placed");
    return c.json(child.info, 201, { location: child.reference.url });
  });

  app.openapi(guarded(routes.countChildren, streams), (c) =>
    c.json({ member: name, pools: Object.fromEntries([...supervisors].map(([pool, supervisor]) => [pool, supervisor.count()])) }, 200),
  );

  app.openapi(guarded(routes.listChildren, streams), (c) => {
    const { pool, label = [], status } = c.req.valid("query");
    if (pool !== undefined) permit(c, pool);
    const asked = pool === undefined ? [...supervisors.keys()].filter((each) => isPermitted(c, each)) : [pool];
    const children = asked.flatMap((each) => supervisors.get(each)?.which() ?? []);
    return c.json({ children: children.filter((child) => (status === undefined || child.status === status) && carries(child, [label].flat())) }, 200);
  });
}

/** Whether a child carries all of the labels, each `NAME=VALUE` or a `NAME`. */
function carries(child: ChildInfo, labels: readonly string[]): boolean {
  return labels.every((label) => Object.entries(child.labels).some(([name, value]) => label === name || label === `${name}=${value}`));
}

async function* eventsOf(reader: LogReader): AsyncGenerator<PoolEvent, void, undefined> {
  for await (const { data } of reader) yield JSON.parse(data) as PoolEvent;
}
