/** Calls and children on this member alone. */
import type { Context } from "hono";
import { PoolError } from "../../openapi/errors.ts";
import {
  KEY_HEADER,
  LAST_EVENT_HEADER,
  REQUEST_HEADER,
  WAITED_HEADER,
} from "../../openapi/names.ts";
import * as routes from "../../openapi/routes.ts";
import { nextOf } from "../../sdk/typescript/placement/pages.ts";
import { type CallerContext, isPermitted, permit, viewOf } from "../access/permissions.ts";
import { acceptOf, CALL_FORMS, type Form } from "../answers/accept.ts";
import { answerCall } from "../answers/call.ts";
import { continuedBehind } from "../answers/continued.ts";
import { withEarlyStream } from "../answers/events.ts";
import { answerStarted, startedInfo } from "../answers/gateway.ts";
import { keyedBy, oncePerKey } from "../answers/keyed.ts";
import { tellLoad } from "../answers/own-member.ts";
import { onClientGone } from "../http/request.ts";
import type { Child } from "../supervisor/child.ts";
import type { Claim } from "../supervisor/claim.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import {
  childrenOf,
  countOf,
  startedChild,
  supervisorOf,
  type ThisMember,
  tasksOf,
} from "../supervisor/this-member.ts";
import { fedBy } from "./bodies/receive-uploads.ts";
import type { AppOptions, Bindings } from "./context.ts";
import type { Register } from "./register.ts";

export function thisMemberRoutes(on: Register, options: AppOptions): void {
  callRoutes(on, options);
  placeRoute(on, options);

  on(routes.countChildren, (c) => c.json(countOf(options), 200));

  on(routes.listTasks, (c) =>
    c.json(tasksOf(options, poolsFor(c, c.req.valid("query").pool, options)), 200),
  );

  on(routes.listChildren, async (c) => {
    const { pool, label: labels, ...filter } = c.req.valid("query");
    const wish = { ...filter, labels, ...viewOf(c) };
    const page = await childrenOf(options, poolsFor(c, pool, options), wish);
    return c.json({ children: [...page.entries], ...nextOf(page) }, 200);
  });
}

function callRoutes(on: Register, options: AppOptions): void {
  const { sourceCache, logError, keyedStarts } = options;
  const called = [
    [routes.call, CALL_FORMS],
    [routes.run, ["json"]],
    [routes.pipe, ["raw"]],
  ] as const;
  for (const [route, forms] of called)
    on(route, async (c) => {
      const form = acceptOf(c, forms);
      const { pool, slot, ...rest } = c.req.valid("json");
      const supervisor = permittedSupervisor(c, pool, options);
      const [input, uploads, caller] = [c.get("input"), c.get("uploads"), c.get("caller")];
      const given = keyedBy(c.req.valid("header")[KEY_HEADER], rest);
      const spec = fedBy(input, sourceCache.complete(given, caller.name));
      const client = caller.name;
      const after = afterOf(c, given, form);
      const keyed = await keyedStarts.of({ pool, client, spec, lifetime: "call", uploads });
      const onGone = (leave: () => void) => onClientGone(c, leave);
      return withEarlyStream(c, logError, (stream) => {
        const call = { spec, form, input, after };
        const onPosition =
          form === "stream"
            ? (position: number) => stream.write({ type: "queued", position })
            : undefined;
        const waitedMs = waitedOf(c);
        const claim = { client, slot, waitedMs, uploads, keyed, onPosition, onGone };
        const place = async () => {
          const { child, isRepeat } = await startOnce(c, options, () =>
            supervisor.admitWhenFree(spec, "call", claim),
          );
          tellLoad(c, supervisor);
          return answerCall(c, child, { ...call, isRepeat, opened: stream.session });
        };
        const attach = (id: string) => {
          giveBack(supervisor, claim);
          return answerStarted(c, options, { ...call, id, opened: stream.session });
        };
        return oncePerKey(keyed, { place, attach, isContinued: after !== undefined });
      }).finally(() => tellLoad(c, supervisor));
    });
}

function placeRoute(on: Register, options: AppOptions): void {
  const { sourceCache, keyedStarts } = options;
  on(routes.placeChild, async (c) => {
    const { pool, slot, ...rest } = c.req.valid("json");
    refuseLink(rest);
    const onGone = (leave: () => void) => onClientGone(c, leave);
    const [uploads, caller] = [c.get("uploads"), c.get("caller")];
    const supervisor = permittedSupervisor(c, pool, options);
    const given = keyedBy(c.req.valid("header")[KEY_HEADER], rest);
    const spec = sourceCache.complete(given, caller.name);
    afterOf(c, given);
    const client = caller.name;
    const keyed = await keyedStarts.of({ pool, client, spec, lifetime: "placed", uploads });
    const claim = { client, slot, waitedMs: waitedOf(c), uploads, keyed, onGone };
    const start = () => supervisor.admitWhenFree(spec, "placed", claim);
    const info = await oncePerKey(keyed, {
      place: async () => (await startOnce(c, options, start)).child.info,
      attach: (id) => {
        giveBack(supervisor, claim);
        return startedInfo(c, options, id);
      },
    }).finally(() => tellLoad(c, supervisor));
    return c.json(info, 201, { location: info.url });
  });
}

/**
 * The event behind which a request continues; undefined for one that starts a child.
 *
 * @param form the form of its answer; undefined for a placed child.
 * @throws {PoolError} as {@link continuedBehind}.
 */
export function afterOf(
  c: Context<Bindings>,
  { idempotencyKey }: { readonly idempotencyKey?: string | undefined },
  form?: Form,
): number | undefined {
  const lastEventId = c.req.header(LAST_EVENT_HEADER);
  return continuedBehind({ lastEventId, form, isKeyed: idempotencyKey !== undefined });
}

/** The milliseconds for which the caller has waited for the slot that it claims. */
function waitedOf(c: Context<Bindings>): number {
  const header = c.req.header(WAITED_HEADER) ?? "";
  return /^\d{1,10}$/.test(header) ? Number(header) : 0;
}

/** Gives back the slot of a claim whose child was started before. */
function giveBack({ slots }: Supervisor, { slot, client }: Pick<Claim, "slot" | "client">): void {
  if (slot !== undefined && slots.holds(slot)) slots.release(slot, client);
}

/**
 * Starts a child, unless the same request has come before and started one.
 *
 * @throws {PoolError} as `start`, as {@link RecentStarts.once} and as {@link startedChild}.
 */
async function startOnce(
  c: Context<Bindings>,
  options: AppOptions,
  start: () => Promise<Child>,
): Promise<{ readonly child: Child; readonly isRepeat: boolean }> {
  const header = c.req.header(REQUEST_HEADER);
  const started = async () => (await start()).id;
  const { child, ...rest } = await options.recentStarts.once(c.get("caller").name, header, started);
  return { child: await startedChild(options, child), ...rest };
}

/**
 * The supervisor of a pool.
 *
 * @throws {PoolError} `forbidden` where the caller may not use the pool; `pool_not_found`.
 */
export function permittedSupervisor(
  c: CallerContext,
  pool: string,
  member: ThisMember,
): Supervisor {
  permit(c, pool);
  return supervisorOf(member, pool);
}

/**
 * The pool that the caller names, or all pools that the caller may see.
 *
 * @throws {PoolError} as {@link permittedSupervisor} does.
 */
function poolsFor(c: CallerContext, pool: string | undefined, member: ThisMember): string[] {
  if (pool === undefined)
    return [...member.supervisors.keys()].filter((each) => isPermitted(c, each));
  permittedSupervisor(c, pool, member);
  return [pool];
}

/**
 * Refuses to place a linked child, whose caller keeps no connection.
 *
 * @throws {PoolError} `invalid_request`.
 */
export function refuseLink({ link }: { readonly link: boolean }): void {
  if (link)
    throw PoolError.of(
      "invalid_request",
      "expected link to be false for a placed child: it has no caller's connection to be tied to",
    );
}
