/** The feed's mechanism: how changes become events, and what is kept of them. */
import { describe, expect, test, vi } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { FeedReader } from "../../server/answers/feed/reader.ts";
import type { FeedSource } from "../../server/answers/feed/source.ts";
import { childEntry, type MemberEvent, memberEntry } from "../../server/supervisor/feed/entry.ts";
import { HistoryCounts, stepsSince } from "../../server/supervisor/feed/history.ts";
import { FeedHub } from "../../server/supervisor/feed/hub.ts";
import { FeedLog } from "../../server/supervisor/feed/log.ts";
import type { ObservedChild } from "../../server/supervisor/observed/observer.ts";

const FACTS: MemberEvent = {
  type: "member",
  member: "m1",
  url: "http://127.0.0.1:7400",
  version: "1.0.0",
  sandbox: "none",
  pools: { pipeline: 1 },
  state: "up",
};

const referenceOf = (id: string) => ({
  id: `m1.${id}`,
  pool: "pipeline",
  member: "m1",
  url: `http://127.0.0.1:7400/children/m1.${id}`,
});

function infoOf(id: string, rest: Partial<ChildInfo> = {}): ChildInfo {
  return {
    ...referenceOf(id),
    owner: "ci",
    status: "running",
    kind: "command",
    startedAt: "2026-01-31T12:00:00.000Z",
    deadlineAt: null,
    endedAt: null,
    exitCode: null,
    code: null,
    labels: {},
    sandbox: "none",
    ...rest,
  };
}

/** A child whose info counts how often it is read. */
function childOf(id: string, rest: Partial<ChildInfo> = {}) {
  const child = {
    id: `m1.${id}`,
    reference: referenceOf(id),
    reads: 0,
    get info() {
      child.reads += 1;
      return infoOf(id, rest);
    },
    begun: Promise.resolve(undefined),
    finished: Promise.resolve(),
  };
  return child satisfies ObservedChild;
}

const eventsIn = (log: FeedLog, from: number) => {
  const events = [];
  for (let entry = log.at(from); entry; entry = log.at(++from)) events.push(JSON.parse(entry.json));
  return events;
};

describe("the hub", () => {
  const open = () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
    const hub = new FeedHub({ facts: () => FACTS, supervisors: () => new Map() });
    const end = () => {
      hub.close();
      vi.useRealTimers();
    };
    return { hub, end };
  };

  test("looks at no child while nobody watches", () => {
    const { hub, end } = open();
    const child = childOf("a");
    hub.placed(child, 1);
    hub.ended(child);
    vi.advanceTimersByTime(1_000);
    expect(child.reads).toBe(0);
    expect(hub.log.at(0)).toBeUndefined();
    end();
  });

  test("makes one event of the changes of 100 ms, the latest one", () => {
    const { hub, end } = open();
    hub.watch();
    const short = childOf("a", { status: "ended" });
    const long = childOf("b");
    const from = hub.log.end;
    hub.placed(short, 0.5);
    hub.progressed(short);
    hub.ended(short);
    hub.placed(long, 2);
    for (let count = 0; count < 100; count++) hub.progressed(long);
    vi.advanceTimersByTime(100);
    expect(eventsIn(hub.log, from)).toMatchObject([
      { change: "ended", waitedMs: 0.5, child: { id: "m1.a" } },
      { change: "placed", waitedMs: 2, child: { id: "m1.b" } },
    ]);
    expect([short.reads, long.reads]).toEqual([1, 1]);
    hub.progressed(long);
    hub.stopping(long);
    vi.advanceTimersByTime(100);
    expect(eventsIn(hub.log, from + 2)).toMatchObject([{ change: "stopping" }]);
    end();
  });

  test("keeps its events for a minute after the last reader", () => {
    const { hub, end } = open();
    const position = hub.log.end;
    hub.watch()();
    vi.advanceTimersByTime(59_000);
    hub.placed(childOf("a"), 0);
    vi.advanceTimersByTime(500);
    expect(hub.log.has(position)).toBe(true);
    expect(hub.log.end).toBe(position + 1);
    vi.advanceTimersByTime(1_000);
    expect(hub.log.has(position)).toBe(false);
    end();
  });
});

describe("the text of an event", () => {
  test("has the command for those alone that may see it", () => {
    const command = ["sh", "-c", "echo '\u2028\"child\":{'"];
    const labels = { job: '"child":{' };
    const { json, whole } = childEntry({
      change: "placed",
      child: infoOf("a", { command, labels }),
    });
    expect(JSON.parse(json).child).toEqual(infoOf("a", { labels }));
    expect(JSON.parse(whole ?? "").child).toEqual(infoOf("a", { command, labels }));
    expect(whole).not.toContain("\u2028");
  });
});

describe("the log", () => {
  const entry = (id: string) => childEntry({ change: "placed", child: infoOf(id) });

  test("keeps the latest events within its bound", () => {
    const log = new FeedLog(10 * entry("0000").json.length);
    for (let count = 0; count < 5_000; count++) log.append([entry(String(count).padStart(4, "0"))]);
    expect(log.end).toBe(5_000);
    expect([log.has(4_989), log.has(4_990), log.has(5_000), log.has(5_001)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(log.at(4_999)?.child?.id).toBe("m1.4999");
    expect(log.at(4_989)).toBeUndefined();
  });
});

describe("a reader", () => {
  const sourceOf = (log: FeedLog): FeedSource => ({
    log,
    epoch: "a1",
    watch: () => () => {},
    settled: async () => {},
    state: () => [memberEntry(FACTS)],
  });
  const sightOf = (key: string) => ({
    key,
    passes: () => true,
    jsonOf: ({ json }: { json: string }) => json,
  });
  const sight = sightOf("k1");
  const typesIn = (text: string) => [...text.matchAll(/^event: (\w+)$/gm)].map(([, type]) => type);

  test("that falls behind gets the state again, and holds no event", async () => {
    const log = new FeedLog(10_000);
    const ending = new AbortController();
    const { signal } = ending;
    const reader = new FeedReader({ sources: [sourceOf(log)], sight, lastId: undefined, signal });
    const pieces = reader.pieces();
    const next = async () => typesIn((await pieces.next()).value ?? "");
    expect([...(await next()), ...(await next())]).toEqual(["reset", "member", "synced"]);
    for (let count = 0; count < 1_000; count++)
      log.append([childEntry({ change: "placed", child: infoOf(String(count)) })]);
    expect([...(await next()), ...(await next())]).toEqual(["reset", "member", "synced"]);
    log.append([childEntry({ change: "placed", child: infoOf("last") })]);
    expect(await next()).toEqual(["child"]);
    const over = pieces.next();
    ending.abort();
    expect((await over).done).toBe(true);
  });

  test("resumes where its id says", async () => {
    const log = new FeedLog();
    for (const id of ["a", "b", "c"])
      log.append([childEntry({ change: "placed", child: infoOf(id) })]);
    const { signal } = new AbortController();
    const reader = new FeedReader({ sources: [sourceOf(log)], sight, lastId: "a1.1-k1", signal });
    const { value = "" } = await reader.pieces().next();
    expect(typesIn(value)).toEqual(["child", "child"]);
    expect(value).toContain("event: child\nid: a1.3-k1\ndata: ");
    expect(value).toContain('"id":"m1.b"');
  });

  test("gets the state again with another key, at once", async () => {
    const log = new FeedLog();
    log.append([childEntry({ change: "placed", child: infoOf("a") })]);
    const ending = new AbortController();
    const { signal } = ending;
    const sight = sightOf("k2");
    const reader = new FeedReader({ sources: [sourceOf(log)], sight, lastId: "a1.0-k1", signal });
    const pieces = reader.pieces();
    const next = async () => typesIn((await pieces.next()).value ?? "");
    expect([...(await next()), ...(await next())]).toEqual(["reset", "member", "synced"]);
    const again = next();
    sight.key = "k3";
    reader.look();
    expect([...(await again), ...(await next())]).toEqual(["reset", "member", "synced"]);
    const over = pieces.next();
    ending.abort();
    expect((await over).done).toBe(true);
  });
});

test("the history keeps 30 minutes, and forgets older steps", () => {
  let now = 1_700_000_000_000;
  const counts = new HistoryCounts(
    () => new Map(),
    () => now,
  );
  const times = { startedAt: "2026-01-31T12:00:00.000Z", endedAt: "2026-01-31T12:00:00.200Z" };
  const child = childOf("a", { status: "ended", code: "cancelled", ...times });
  counts.placed(child, 2);
  counts.ended(child);
  counts.refused("pipeline", new Error("full"));
  const shown = () => counts.shown("pipeline", stepsSince(undefined, now));
  expect(shown().placed).toHaveLength(180);
  expect(shown()).toMatchObject({ failed: { cancelled: { 179: 1 } }, refused: { 179: 1 } });
  expect(shown().waits[179]?.indexOf(1)).toBe(1);
  expect(shown().runs[179]?.indexOf(1)).toBe(5);
  now += 179 * 10_000;
  counts.placed(child, 2);
  expect([shown().placed[0], shown().placed[179]]).toEqual([1, 1]);
  now += 10_000;
  counts.placed(child, 2);
  expect([shown().placed[0], shown().placed[178], shown().placed[179]]).toEqual([0, 1, 1]);
  expect(shown().failed).toEqual({});
  expect(stepsSince(now - 25_000, now)).toHaveLength(4);
  counts.close();
});
