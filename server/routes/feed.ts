/** Tells what happens in the pools, as it happens, on all members. */
import { createHash } from "node:crypto";
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
import { stepsSince } from "../supervisor/feed/history.ts";
import type { AppOptions, Bindings } from "./context.ts";
import type { Register } from "./register.ts";

/** A token that is no longer valid ends its feeds within 2 seconds. */
const RECHECK_MS = 2_000;

/** 2 seconds: so long do callers of the same token share an answer. */
const HISTORY_MS = 2_000;
const MAX_HISTORIES = 32;

/** The events that a reader asks for. */
interface Wish {
  readonly pool?: readonly string[] | undefined;
  readonly member?: string | undefined;
  readonly type?: readonly FeedEvent["type"][] | undefined;
}

export function feedRoutes(on: Register, options: AppOptions): void {
  const { name, feeds, members, auth, inFlight, client } = options;
  const fanIns = new FanIns({ client, members, name });
  inFlight.end.addEventListener("abort", () => fanIns.close());
  historyRoute(on, options);

  on(routes.feed, async (c) => {
    acceptOf(c, ["stream"]);
    const wish = c.req.valid("query");
    const { member } = wish;
    const isOwn = member === name;
    await checkMember(c, member, options);
    await checkPools(c, wish.pool ?? [], members);
    // The other members follow this one until its last child has ended.
    const { over } = feeds.own;
    const leaving = isOwn ? { handover: over, end: over } : inFlight;
    if (leaving.handover.aborted)
      throw PoolError.of("draining", "this member drains; ask another one");
    if (c.req.method === "HEAD") return new Response(null, { headers: EVENTS_TYPE });
    const authorization = c.req.header("authorization");
    const caller = c.get("caller").name;
    const others = isOwn ? [] : [fanIns.of({ caller, authorization })];
    const ending = new AbortController();
    const end = () => ending.abort();
    const sight = { ...sightOf(c, wish), key: keyOf(c, wish) };
    const reader = new FeedReader({
      sources: member === undefined || isOwn ? [feeds.own, ...others] : others,
      sight,
      lastId: c.req.header(LAST_EVENT_HEADER),
      signal: ending.signal,
    });
    onHandover(c.env.outgoing, leaving, end);
    const look = () => {
      sight.key = keyOf(c, wish);
      reader.look();
    };
    if (auth) recheck(c, auth, { look, end });
    return send<string>(c, {
      headers: EVENTS_TYPE,
      pieces: reader.pieces(),
      discard: end,
      open: () => openSession(c, true),
      write: (outgoing, text) => outgoing.write(text),
    });
  });
}

function historyRoute(on: Register, options: AppOptions): void {
  const { name, feeds, members, client } = options;
  const asked = new LRUCache<string, Promise<History>>({ max: MAX_HISTORIES, ttl: HISTORY_MS });

  on(routes.history, async (c) => {
    const { pool, member, since } = c.req.valid("query");
    await checkMember(c, member, options);
    // A member that asks knows the pools, and this one may hear of them later.
    if (c.req.header(REQUEST_HEADER) === undefined) await checkPools(c, pool ?? [], members);
    else for (const each of pool ?? []) permit(c, each);
    const pools = pool ?? (await poolsOf(c, member, options));
    const sinceMs = since === undefined ? undefined : Date.parse(since);
    const authorization = c.req.header("authorization");
    const key = JSON.stringify([authorization, pool, pools, member, stepsSince(sinceMs)[0]]);
    const known = asked.get(key);
    if (known) return c.json(await known, 200);
    const way = { client: client.as(authorization), members, name, counts: feeds.counts };
    const areNamed = pool !== undefined;
    const answer = historiesOf(way, { pools, areNamed, member, sinceMs });
    // Callers share it while it comes, and 2 seconds more.
    asked.set(key, answer, { ttl: 0 });
    answer.then(
      () => asked.set(key, answer),
      () => asked.delete(key),
    );
    return c.json(await answer, 200);
  });
}

/** The pools that the caller may see, of one member or of all. */
async function poolsOf(
  c: Context<Bindings>,
  member: string | undefined,
  { name, members, supervisors }: AppOptions,
): Promise<string[]> {
  const isAsked = (each: string) => member === undefined || each === member;
  const all = (await members.registered())
    .filter((each) => isAsked(each.name))
    .flatMap((each) => Object.keys(each.pools));
  const own = isAsked(name) ? supervisors.keys() : [];
  return [...new Set([...all, ...own])].filter((pool) => isPermitted(c, pool)).sort();
}

/**
 * Checks that a member is registered. A question of another member does not go on.
 *
 * @throws {PoolError} `not_found`; `member_lost` where another member asks about a third one.
 */
async function checkMember(
  c: Context<Bindings>,
  member: string | undefined,
  { name, members }: AppOptions,
): Promise<void> {
  if (member === name) return;
  if (c.req.header(REQUEST_HEADER) !== undefined)
    throw PoolError.of("member_lost", `expected member ${member}; this is ${name}`, {
      admitted: false,
    });
  if (member === undefined || (await members.registered()).some((each) => each.name === member))
    return;
  throw PoolError.of("not_found", `no member is called ${member}`);
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

/** Names what a caller may see of the feed, and asks for, in 16 digits. */
function keyOf(c: Context<Bindings>, { pool, member, type }: Wish): string {
  const facts = JSON.stringify([c.get("caller").shown, pool, member, type]);
  return createHash("sha256").update(facts).digest("hex").slice(0, 16);
}

/** The events that a caller may see, and asks for. */
function sightOf(c: Context<Bindings>, wish: Wish): Omit<Sight, "key"> {
  const wished = wish.pool && new Set(wish.pool);
  const types = wish.type && new Set(wish.type);
  const sees = (pool: string) => isPermitted(c, pool) && (!wished || wished.has(pool));
  return {
    passes({ type, member, pool, pools, child, event }) {
      if (wish.member !== undefined && member !== wish.member) return false;
      if (pools) return pools.some(sees);
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

/** The answers that end a feed. Any other error tells nothing about the caller. */
const REFUSED = new Set(["unauthorized", "forbidden"]);

/**
 * Asks again and again who calls. Ends the feed of a caller that may not watch any more, and lets
 * it look at what the others may see now.
 */
function recheck(
  c: Context<Bindings>,
  auth: Auth,
  { look, end }: Record<"look" | "end", () => void>,
) {
  const authorization = c.req.header("authorization");
  const check = async () => {
    const caller = await auth.callerOf(authorization);
    c.set("caller", caller);
    checkScopes(c);
    look();
  };
  const refused = (error: unknown) => {
    if (error instanceof PoolError && REFUSED.has(error.code)) end();
  };
  const timer = setInterval(() => void check().catch(refused), RECHECK_MS).unref();
  onOver(c.env.outgoing, () => clearInterval(timer));
}
