/** Tells what happens in the pools, as it happens, on all members. */
import type { Context } from "hono";
import { LRUCache } from "lru-cache";
import { PoolError } from "../../openapi/errors.ts";
import { LAST_EVENT_HEADER, REQUEST_HEADER } from "../../openapi/names.ts";
import * as routes from "../../openapi/routes.ts";
import type { FeedEvent } from "../../openapi/schemas/state/feed.ts";
import type { History } from "../../openapi/schemas/state/history.ts";
import { type Members, nobodyIn } from "../../sdk/typescript/placement/members.ts";
import type { Auth } from "../access/auth.ts";
import { checkScopes, isPermitted, permit, seesChild, seesCommand } from "../access/permissions.ts";
import { acceptOf } from "../answers/accept.ts";
import { EVENTS_TYPE, openSession } from "../answers/events.ts";
import { FanIns } from "../answers/feed/fan-in.ts";
import { historiesOf } from "../answers/feed/histories.ts";
import { FeedReader, type Sight } from "../answers/feed/reader.ts";
import { onHandover } from "../answers/remote/handover.ts";
import { send } from "../answers/send.ts";
import { onOver } from "../http/response.ts";
import { memberJson } from "../supervisor/feed/entry.ts";
import type { AppOptions, Bindings } from "./context.ts";
import type { Register } from "./register.ts";

/** A token that is no longer valid ends its feeds within 2 seconds. */
const RECHECK_MS = 2_000;

/** 2 seconds: so long do callers of the same token share an answer. */
const HISTORY_MS = 2_000;
const MAX_HISTORIES = 32;

export function feedRoutes(on: Register, options: AppOptions): void {
  const { name, feeds, members, auth, inFlight, client } = options;
  const fanIns = new FanIns({ client, members, name });
  inFlight.end.addEventListener("abort", () => fanIns.close());
  const asked = new LRUCache<string, Promise<History>>({ max: MAX_HISTORIES, ttl: HISTORY_MS });

  on(routes.feed, async (c) => {
    acceptOf(c, ["stream"]);
    const { pool: pools, member, type: types } = c.req.valid("query");
    await checkPools(c, pools ?? [], members);
    const isOwn = member === name;
    checkRelayed(c, member, name);
    // The other members follow this one until its last child has ended.
    const { over } = feeds.own;
    const leaving = isOwn ? { handover: over, end: over } : inFlight;
    if (leaving.handover.aborted)
      throw PoolError.of("draining", "this member drains; ask another one");
    const authorization = c.req.header("authorization");
    const others = isOwn ? [] : [fanIns.of({ authorization, member })];
    const ending = new AbortController();
    const end = () => ending.abort();
    const reader = new FeedReader({
      sources: member === undefined || isOwn ? [feeds.own, ...others] : others,
      sight: sightOf(c, { pools, types }),
      lastId: c.req.header(LAST_EVENT_HEADER),
      signal: ending.signal,
    });
    onHandover(c.env.outgoing, leaving, end);
    if (auth) recheck(c, auth, end);
    return send<string>(c, {
      headers: EVENTS_TYPE,
      pieces: reader.pieces(),
      discard: end,
      open: () => openSession(c, true),
      write: (outgoing, text) => outgoing.write(text),
    });
  });

  on(routes.history, async (c) => {
    const { pool, member, since } = c.req.valid("query");
    await checkPools(c, pool ?? [], members);
    checkRelayed(c, member, name);
    const pools = pool ?? (await poolsOf(c, members));
    const authorization = c.req.header("authorization");
    const key = JSON.stringify([authorization, pools, member, since]);
    let answer = asked.get(key);
    if (!answer) {
      const sinceMs = since === undefined ? undefined : Date.parse(since);
      const way = { client: client.as(authorization), members, name, counts: feeds.counts };
      answer = historiesOf(way, { pools, member, sinceMs });
      asked.set(key, answer);
      answer.catch(() => asked.delete(key));
    }
    return c.json(await answer, 200);
  });
}

/** The pools that the caller may see. */
async function poolsOf(c: Context<Bindings>, members: Members): Promise<string[]> {
  const all = (await members.registered()).flatMap((member) => Object.keys(member.pools));
  return [...new Set(all)].filter((pool) => isPermitted(c, pool)).sort();
}

/**
 * Keeps a question of another member from going round in circles.
 *
 * @throws {PoolError} `member_lost` where the question is not about this member.
 */
function checkRelayed(c: Context<Bindings>, member: string | undefined, name: string): void {
  if (member !== name && c.req.header(REQUEST_HEADER) !== undefined)
    throw PoolError.of("member_lost", `expected member ${member}; this is ${name}`);
}

/** @throws {PoolError} `forbidden` for a pool that is not the caller's; `pool_not_found`. */
async function checkPools(
  c: Context<Bindings>,
  pools: readonly string[],
  members: Members,
): Promise<void> {
  const all = pools.length > 0 ? await members.registered() : [];
  for (const pool of pools) {
    permit(c, pool);
    if (!all.some((member) => Object.hasOwn(member.pools, pool)))
      throw await nobodyIn(pool, members);
  }
}

/** The events that a caller may see, and asks for. */
function sightOf(
  c: Context<Bindings>,
  wish: {
    readonly pools: readonly string[] | undefined;
    readonly types: readonly FeedEvent["type"][] | undefined;
  },
): Sight {
  const pools = wish.pools && new Set(wish.pools);
  const types = wish.types && new Set(wish.types);
  const sees = (pool: string) => isPermitted(c, pool) && (!pools || pools.has(pool));
  return {
    passes({ type, pool, child, event }) {
      if (type === "reset" || type === "synced") return true;
      if (types && !types.has(type)) return false;
      if (event) return Object.keys(event.pools).some(sees);
      if (pool === undefined || !sees(pool)) return false;
      return !child || seesChild(c, { pool, owner: child.owner });
    },
    jsonOf({ json, whole, event, child, pool }) {
      if (event && !Object.keys(event.pools).every(sees)) return memberJson(event, sees);
      const isWhole = whole && child && pool && seesCommand(c, { pool, owner: child.owner });
      return isWhole ? whole : json;
    },
  };
}

/** Asks again and again who calls, and ends the feed of a caller that may not watch any more. */
function recheck(c: Context<Bindings>, auth: Auth, end: () => void): void {
  const authorization = c.req.header("authorization");
  const check = async () => {
    const caller = await auth.callerOf(authorization);
    c.set("caller", caller);
    checkScopes(c);
  };
  const timer = setInterval(() => void check().catch(end), RECHECK_MS).unref();
  onOver(c.env.outgoing, () => clearInterval(timer));
}
