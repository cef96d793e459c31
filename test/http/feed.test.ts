/** Watches the pools: the state, the changes, all members, resuming, rights and bounds. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import type { History } from "../../openapi/schemas/state/history.ts";
import { newToken } from "../../server/access/tokens.ts";
import type { RunningMember } from "../../server/main.ts";
import { watch } from "../helpers/feed.ts";
import { getJson, post, problemOf, startMembers, startOne, within } from "../helpers/member.ts";

const SLEEP = { command: ["sleep", "60"] };

async function place(
  { url }: Pick<RunningMember, "url">,
  spec: object = SLEEP,
  token?: string,
): Promise<ChildInfo> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await post(url, "/children", { pool: "pipeline", ...spec }, headers);
  expect(response.status).toBe(201);
  return (await response.json()) as ChildInfo;
}

const stop = ({ url }: Pick<ChildInfo, "url">) => fetch(`${url}?graceMs=0`, { method: "DELETE" });

test("a feed begins with the state, and goes on with the changes", async () => {
  const member = await startOne({ pools: { pipeline: 1 } });
  const running = await place(member, { ...SLEEP, labels: { job: "a" } });
  const feed = await watch(member.url);
  await feed.event("synced");
  expect(feed.events.map(({ type }) => type)).toEqual([
    "reset",
    "member",
    "load",
    "queue",
    "child",
    "synced",
  ]);
  expect(feed.events[1]).toMatchObject({
    member: "m1",
    url: member.url,
    state: "up",
    pools: { pipeline: 1 },
    startedAt: expect.any(String),
  });
  expect(feed.events[2]).toMatchObject({ pool: "pipeline", load: { active: 1, max: 1 } });
  expect(feed.events[4]).toMatchObject({
    change: "placed",
    child: { id: running.id, labels: { job: "a" }, name: "sleep", command: SLEEP.command },
  });

  const waiting = post(member.url, "/pools/pipeline/run", { command: ["true"], waitMs: 20_000 });
  const queue = await feed.event("queue", ({ queued }) => queued === 1);
  expect(Date.parse(queue.oldestAt ?? "")).toBeLessThanOrEqual(Date.now());
  await stop(running);
  await feed.event("child", ({ change, child }) => change === "ended" && child.id === running.id);
  const { child } = (await (await waiting).json()) as { child: ChildInfo };
  const ended = await feed.event(
    "child",
    (event) => event.child.id === child.id && event.change === "ended",
  );
  expect(ended).toMatchObject({ child: { status: "ended", exitCode: 0, code: null } });
  await feed.event("queue", ({ queued, oldestAt }) => queued === 0 && oldestAt === null);
  await feed.event("load", ({ load }) => load.active === 0);
});

test("a child shows its progress, and its usage while it runs", async () => {
  const member = await startOne();
  const feed = await watch(member.url, { query: "type=child" });
  await feed.event("synced");
  const script = "echo 3/10 words >&3; while :; do :; done";
  const child = await place(member, { command: ["sh", "-c", script] });
  const { child: shown } = await feed.event("child", (event) => event.child.progress !== undefined);
  expect(shown).toMatchObject({ id: child.id, progress: { done: 3, total: 10, message: "words" } });
  const { child: measured } = await feed.event("child", (event) => event.child.usage !== undefined);
  expect(measured.status).toBe("running");
  expect(measured.usage?.wallMs).toBeGreaterThan(0);
  const { children } = await getJson<{ children: ChildInfo[] }>(`${member.url}/children`);
  expect(children[0]).toMatchObject({
    usage: { wallMs: expect.any(Number) },
    progress: { done: 3 },
  });
  await stop(child);
  const ended = await feed.event("child", ({ change }) => change === "ended");
  expect(ended.child).toMatchObject({ status: "ended", code: "cancelled" });
  expect(feed.events.every(({ type }) => ["reset", "synced", "child"].includes(type))).toBe(true);
});

test("any member shows all members, those that come, and those that leave", async () => {
  const [first, second] = (await startMembers({}, { drainMs: 20_000 })) as [
    RunningMember,
    RunningMember,
  ];
  const there = await place(second);
  const feed = await watch(first.url);
  await feed.event("synced", ({ member }) => member === undefined);
  const members = feed.events.filter(({ type }) => type === "member");
  expect(members).toMatchObject([{ member: "m1" }, { member: "m2", state: "up" }]);
  expect(feed.events).toContainEqual(
    expect.objectContaining({ type: "child", child: expect.objectContaining({ id: there.id }) }),
  );
  const only = await watch(first.url, { query: "member=m2" });
  await only.event("child", ({ child }) => child.id === there.id);

  const stopped = second.stop();
  const draining = await feed.event("member", ({ state }) => state === "draining");
  expect(draining).toMatchObject({ member: "m2", drainEndsAt: expect.any(String) });
  await stop({ url: there.url });
  await feed.event("child", ({ change, child }) => change === "ended" && child.id === there.id);
  await feed.event("member", ({ state }) => state === "left");
  const states = feed.events.flatMap((event) => (event.type === "member" ? event.state : []));
  expect(states).toEqual(["up", "up", "draining", "left"]);
  await within("the member's stop", stopped);
  expect(only.events.every((each) => !("member" in each) || each.member === "m2")).toBe(true);
});

test("a reader resumes behind its last event, and begins again with another id", async () => {
  const [first, second] = (await startMembers({}, {})) as [RunningMember, RunningMember];
  const feed = await watch(first.url);
  await feed.event("synced", ({ member }) => member === undefined);
  await feed.close();
  const children = [await place(first), await place(second)];
  const { lastId } = feed;
  const resumed = await watch(first.url, { lastId });
  for (const { id } of children) await resumed.event("child", ({ child }) => child.id === id);
  expect(resumed.events.some(({ type }) => type === "reset")).toBe(false);
  for (const unknown of ["none", "7", `${lastId?.split("-")[0]}-x.1`]) {
    const again = await watch(second.url, { lastId: unknown });
    await again.event("synced", ({ member }) => member === undefined);
    expect(again.events[0]).toMatchObject({ type: "reset" });
  }
});

test("a member that leaves ends its feeds, and another one goes on", async () => {
  const [first, second] = (await startMembers({}, {})) as [RunningMember, RunningMember];
  const feed = await watch(first.url);
  await feed.event("synced");
  await within("the member's stop", first.stop());
  await within("the end of the feed", feed.ended);
  const next = await watch(second.url, { lastId: feed.lastId });
  await next.event("synced");
  expect(next.events[0]).toMatchObject({ type: "reset" });
});

const CALLER = newToken("caller", ["call"], ["pipeline"]);
const WATCHER = newToken("watcher", ["observe"], ["pipeline"]);
const BOSS = newToken("boss", ["admin"], ["*"]);

async function tokenFile(...tokens: { line: string }[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "dpool-feed-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "tokens");
  await writeFile(file, tokens.map(({ line }) => `${line}\n`).join(""), { mode: 0o600 });
  return file;
}

test("each caller sees its children, and commands only of its own", async () => {
  const file = await tokenFile(CALLER, WATCHER, BOSS);
  const options = { tokenFile: file, pools: { pipeline: 4, secret: 1 } };
  const [first, second] = (await startMembers(options, options)) as [RunningMember, RunningMember];
  const own = await place(second, SLEEP, CALLER.token);
  const other = await place(second, SLEEP, BOSS.token);
  const seenBy = async (token: string) => {
    const feed = await watch(first.url, { token });
    await feed.event("synced", ({ member }) => member === undefined);
    const children = feed.events.flatMap((event) => (event.type === "child" ? event.child : []));
    const pools = new Set(
      feed.events.flatMap((e) => (e.type === "member" ? Object.keys(e.pools) : [])),
    );
    return {
      commands: Object.fromEntries(children.map((c) => [c.id, c.command])),
      pools: [...pools],
    };
  };
  const { command } = SLEEP;
  expect(await seenBy(CALLER.token)).toEqual({
    commands: { [own.id]: command },
    pools: ["pipeline"],
  });
  expect(await seenBy(WATCHER.token)).toEqual({
    commands: { [own.id]: undefined, [other.id]: undefined },
    pools: ["pipeline"],
  });
  expect(await seenBy(BOSS.token)).toEqual({
    commands: { [own.id]: command, [other.id]: command },
    pools: ["pipeline", "secret"],
  });
  const ask = async (path: string, { token }: { token: string }) => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`${first.url}${path}`, { headers })).text();
  };
  for (const path of ["/pools/pipeline/children", `/children/${own.id}`]) {
    expect(await ask(path, WATCHER)).not.toContain('command":[');
    expect(await ask(path, BOSS)).toContain('command":[');
    expect(await ask(path, CALLER)).toContain('command":[');
  }
  const headers = { authorization: `Bearer ${WATCHER.token}` };
  const refused = await fetch(`${first.url}/events?pool=secret`, { headers });
  expect((await problemOf(refused)).code).toBe("forbidden");
});

test("a feed ends when its token is revoked", async () => {
  const file = await tokenFile(WATCHER, BOSS);
  const member = await startOne({ tokenFile: file });
  const feed = await watch(member.url, { token: WATCHER.token });
  await feed.event("synced");
  await writeFile(file, `${BOSS.line}\n`);
  await within("the end of the feed", feed.ended);
  const headers = { authorization: `Bearer ${WATCHER.token}` };
  expect((await fetch(`${member.url}/events`, { headers })).status).toBe(401);
});

test("an unknown pool or member is a problem, as is another form of answer", async () => {
  const { url } = await startOne();
  expect((await problemOf(await fetch(`${url}/events?member=none`))).code).toBe("not_found");
  expect((await problemOf(await fetch(`${url}/history?member=none`))).code).toBe("not_found");
  expect((await fetch(`${url}/events`, { method: "HEAD" })).status).toBe(200);
  expect((await problemOf(await fetch(`${url}/events?pool=none`))).code).toBe("pool_not_found");
  expect((await problemOf(await fetch(`${url}/history?pool=none`))).code).toBe("pool_not_found");
  expect((await problemOf(await fetch(`${url}/events?type=nothing`))).code).toBe("invalid_request");
  const headers = { accept: "application/json" };
  expect((await problemOf(await fetch(`${url}/events`, { headers }))).code).toBe("not_acceptable");
});

test("the history counts what happened on all members", async () => {
  const [first, second] = (await startMembers({}, { pools: { pipeline: 1 } })) as [
    RunningMember,
    RunningMember,
  ];
  const feed = await watch(first.url, { query: "type=child" });
  await feed.event("synced", ({ member }) => member === undefined);
  for (const { url } of [first, second])
    await post(url, "/run", { pool: "pipeline", command: ["true"] });
  const running = await place(second);
  await post(second.url, "/run", { pool: "pipeline", command: ["true"] });
  await stop(running);
  await feed.event("child", ({ change, child }) => change === "ended" && child.id === running.id);
  const since = new Date(Date.now() - 60_000).toISOString();
  const { pools, unreachable } = await getJson<History>(`${first.url}/history?since=${since}`);
  expect(unreachable).toEqual([]);
  const { placed, ended, refused, failed } = pools.pipeline ?? {};
  const total = (counts: readonly number[] = []) => counts.reduce((sum, each) => sum + each, 0);
  const totals = [placed, ended, refused, failed?.cancelled].map(total);
  expect(totals).toEqual([3, 3, 1, 1]);
  const own = await getJson<History>(`${first.url}/history?member=m1`);
  expect(own.pools.pipeline?.placed).toHaveLength(180);
  expect(total(own.pools.pipeline?.placed)).toBe(1);
});
