/** The pools, over all members: this member as the gateway. */
import type { Context } from "hono";
import { KEY_HEADER } from "../../openapi/names.ts";
import * as routes from "../../openapi/routes.ts";
import { nextOf, pageOf } from "../../sdk/typescript/placement/pages.ts";
import { isPermitted, viewOf } from "../access/permissions.ts";
import { acceptOf, CALL_FORMS } from "../answers/accept.ts";
import { callThrough, startedInfo } from "../answers/gateway.ts";
import { keyedBy, oncePerKey } from "../answers/keyed.ts";
import { ownMember } from "../answers/own-member.ts";
import { whileClientIsThere } from "../http/request.ts";
import type { KeyedStart } from "../supervisor/once/keyed-starts.ts";
import { fedBy } from "./bodies/receive-uploads.ts";
import type { AppOptions, Bindings } from "./context.ts";
import type { Register } from "./register.ts";
import { afterOf, refuseLink } from "./this-member.ts";

export function poolRoutes(on: Register, options: AppOptions): void {
  const { sourceCache, inFlight, keyedStarts } = options;

  const called = [
    [routes.callInPool, CALL_FORMS],
    [routes.runInPool, ["json"]],
    [routes.pipeInPool, ["raw"]],
  ] as const;
  for (const [route, forms] of called)
    on(route, async (c) => {
      const form = acceptOf(c, forms);
      const { pool } = c.req.valid("param");
      const [uploads, input, caller] = [c.get("uploads"), c.get("input"), c.get("caller")];
      const given = keyedBy(c.req.valid("header")[KEY_HEADER], c.req.valid("json"));
      const spec = fedBy(input, sourceCache.complete(given, caller.name));
      const client = caller.name;
      const after = afterOf(c, given, form);
      const keyed = await keyedStarts.of({ pool, client, spec, lifetime: "call", uploads });
      const access = accessFor(c, options, keyed);
      return callThrough(c, options, { pool, spec, form, access, uploads, input, keyed, after });
    });

  on(routes.placeChildInPool, async (c) => {
    const { pool } = c.req.valid("param");
    const [uploads, caller] = [c.get("uploads"), c.get("caller")];
    const given = keyedBy(c.req.valid("header")[KEY_HEADER], c.req.valid("json"));
    const spec = sourceCache.complete(given, caller.name);
    refuseLink(spec);
    afterOf(c, given);
    const leaving = inFlight.handover;
    leaving.throwIfAborted();
    inFlight.add(c.env.outgoing);
    const client = caller.name;
    const keyed = await keyedStarts.of({ pool, client, spec, lifetime: "placed", uploads });
    const placing = { signal: whileClientIsThere(c), leaving, parts: uploads?.parts };
    const child = await oncePerKey(keyed, {
      place: () => accessFor(c, options, keyed).placeChild(pool, spec, placing),
      attach: (id) => startedInfo(c, options, id),
    });
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
function accessFor(c: Context<Bindings>, options: AppOptions, keyed?: KeyedStart) {
  const [uploads, caller] = [c.get("uploads"), c.get("caller")];
  const own = ownMember(options, { client: caller.name, uploads, keyed, ...viewOf(c) });
  return options.access.as(c.req.header("authorization"), own);
}
