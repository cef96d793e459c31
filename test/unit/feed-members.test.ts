/** The feeds and histories of the other members, without a network. */
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { PoolError } from "../../openapi/errors.ts";
import type { FeedEvent } from "../../openapi/schemas/state/feed.ts";
import type { PoolHistory } from "../../openapi/schemas/state/history.ts";
import type { Client, RequestOptions } from "../../sdk/typescript/http/client.ts";
import type { Members, RegisteredMember } from "../../sdk/typescript/placement/members.ts";
import { FanIns } from "../../server/answers/feed/fan-in.ts";
import { historiesOf } from "../../server/answers/feed/histories.ts";
import { Upstream } from "../../server/answers/feed/upstream.ts";
import type { FeedEntry } from "../../server/supervisor/feed/entry.ts";
import type { HistoryCounts } from "../../server/supervisor/feed/history.ts";
import { within } from "../helpers/wait.ts";

const WAIT_MS = 5_000;

const registered = (name: string, rest: Partial<RegisteredMember> = {}): RegisteredMember => ({
  name,
  url: `http://127.0.0.1/${name}`,
  version: "1.0.0",
  sandbox: "none",
  pools: { pipeline: 1 },
  state: "up",
  ...rest,
});

const membersOf = (list: readonly RegisteredMember[]) =>
  ({
    registered: async () => list,
    find: async (name: string) => list.find((each) => each.name === name),
  }) as Partial<Members> as Members;

const factsOf = (rest: object = {}): FeedEvent => {
  const { name: member, ...facts } = registered("m2");
  return { type: "member", member, ...facts, ...rest };
};

const childOf = (id: number) =>
  ({
    type: "child",
    change: "ended",
    child: { id: `m2.${id}`, owner: "ci", status: "ended", pool: "pipeline", member: "m2" },
  }) as FeedEvent;

/** An upstream of m2 whose member tells these events, and then fails. */
function open(
  events: readonly FeedEvent[],
  wish: { failure?: Error; list?: RegisteredMember[] } = {},
) {
  const { failure, list = [registered("m2")] } = wish;
  const sent: string[] = [];
  const taken: FeedEntry[] = [];
  const told = Promise.withResolvers<void>();
  async function* body(signal: AbortSignal | undefined) {
    for (const event of events) yield Buffer.from(`data: ${JSON.stringify(event)}\n\n`);
    if (failure) throw failure;
    told.resolve();
    await new Promise((_, reject) => signal?.addEventListener("abort", reject));
  }
  const client = {
    send: async (url: string, { signal }: RequestOptions) => {
      sent.push(url);
      return { status: 200, body: body(signal) };
    },
  };
  const ended = new Map<string, Upstream>();
  const upstream = new Upstream(registered("m2"), {
    client: client as unknown as Client,
    members: membersOf(list),
    take: (entry) => void taken.push(entry),
    ended,
    delayMs: 0,
  });
  onTestFinished(() => upstream.close());
  return { upstream, sent, taken, told: told.promise, ended };
}

const isMember = ({ type }: FeedEntry) => type === "member";

describe("the feed of another member", () => {
  test("is not asked for where the member is not registered any more", async () => {
    const { upstream, sent, taken } = open([], { list: [] });
    await within("the first try", WAIT_MS, upstream.settled);
    expect([sent, taken]).toEqual([[], []]);
  });

  test.each([
    ["an end", "up", new Error("cut"), { state: "lost", detail: "it does not answer" }],
    [
      "a refusal",
      "up",
      PoolError.of("too_many_requests", "m2: too many"),
      { state: "up", detail: "it has too many requests of the caller" },
    ],
    ["the end of its drain", "draining", new Error("cut"), { state: "draining" }],
  ] as const)("shows the member after %s", async (_, state, failure, shown) => {
    const events = [factsOf({ state })];
    const { upstream, taken } = open(events, { failure, list: [registered("m2", { state })] });
    await within("the failure", WAIT_MS, upstream.settled);
    expect(taken.filter(isMember).at(-1)?.event).toMatchObject(shown);
  });

  test("shows a member that sends nothing for 30 seconds as lost", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { upstream, taken, told } = open([factsOf()]);
    await vi.advanceTimersByTimeAsync(1);
    await told;
    const states = () => taken.filter(isMember).map(({ event }) => event?.state);
    await vi.advanceTimersByTimeAsync(29_000);
    expect(states()).toEqual(["up"]);
    await vi.advanceTimersByTimeAsync(2_000);
    await upstream.settled;
    expect(states().slice(0, 2)).toEqual(["up", "lost"]);
  });

  test("forgets the loads of a pool that the member has no more", async () => {
    const load = { active: 0, max: 1, queued: 0 };
    const events = [
      factsOf({ pools: { pipeline: 1, other: 1 } }),
      { type: "load", member: "m2", pool: "other", load },
      { type: "load", member: "m2", pool: "pipeline", load },
      factsOf(),
    ] as FeedEvent[];
    const { upstream, told } = open(events);
    await within("the events", WAIT_MS, told);
    expect([...upstream.state()].map(({ pool }) => pool)).toEqual([undefined, "pipeline"]);
  });

  test("ends its state, and forgets the oldest children of those that ended", async () => {
    const { upstream, told, ended } = open(Array.from({ length: 2_010 }, (_, id) => childOf(id)));
    await within("the events", WAIT_MS, told);
    const state = upstream.state();
    expect(state.next().value).toMatchObject({ child: { id: "m2.10" } });
    expect([...state]).toHaveLength(1_999);
    expect(ended.size).toBe(2_000);
    upstream.close();
    expect(ended.size).toBe(0);
  });
});

describe("the places of the readers", () => {
  const fanIns = () => {
    const client = { as: () => client } as Partial<Client> as Client;
    const all = new FanIns({ client, members: membersOf([]), name: "m1" });
    onTestFinished(() => all.close());
    return all;
  };
  const of = (all: FanIns, caller: string, token: string) =>
    all.of({ caller, authorization: `Bearer ${token}` });

  test("are two for a caller, and those of idle tokens are free", () => {
    const all = fanIns();
    const stop = of(all, "a", "1").watch();
    of(all, "a", "2").watch();
    expect(all.of({ caller: "a", authorization: "bearer  1" })).toBe(of(all, "a", "1"));
    expect(() => of(all, "a", "3")).toThrow(/^a watches all members .* with 2 tokens already/);
    of(all, "b", "4");
    stop();
    of(all, "a", "3").watch();
    expect(() => of(all, "a", "1")).toThrow(PoolError);
  });

  test("outlive the end of the one before", () => {
    const all = fanIns();
    const first = of(all, "a", "1");
    first.close();
    first.watch();
    const second = of(all, "a", "1");
    first.close();
    expect(of(all, "a", "1")).toBe(second);
    expect(second).not.toBe(first);
  });
});

describe("the history of all members", () => {
  const none = (): PoolHistory => ({
    ...{ placed: [], ended: [], failed: {}, refused: [] },
    ...{ queued: [], waits: [], runs: [] },
  });
  const ask = (
    list: readonly RegisteredMember[],
    json: (url: string, options: RequestOptions) => Promise<unknown>,
    areNamed = false,
  ) =>
    historiesOf(
      {
        client: { json } as Partial<Client> as Client,
        members: membersOf(list),
        name: "m1",
        counts: { shown: none } as unknown as HistoryCounts,
      },
      { pools: ["pipeline", "other"], areNamed, member: undefined, sinceMs: undefined },
    );

  test("asks each for the pools that it has, or for all that the caller may see", async () => {
    const urls: string[] = [];
    const json = async (url: string) => {
      urls.push(url);
      return { firstAt: new Date().toISOString(), pools: {} };
    };
    await ask([registered("m2")], json, true);
    await ask([registered("m2")], json);
    expect(urls.map((url) => new URL(url).searchParams.getAll("pool"))).toEqual([["pipeline"], []]);
  });

  test("has one deadline for all of them", async () => {
    const deadline = new AbortController();
    const spy = vi.spyOn(AbortSignal, "timeout").mockReturnValue(deadline.signal);
    onTestFinished(() => spy.mockRestore());
    const list = Array.from({ length: 600 }, (_, index) => registered(`m${index + 2}`));
    let asked = 0;
    const json = async (_: string, { signal }: RequestOptions) => {
      if (++asked === 256) setImmediate(() => deadline.abort(new Error("late")));
      signal?.throwIfAborted();
      return new Promise((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason)),
      );
    };
    const { unreachable } = await within("the history", WAIT_MS, ask(list, json));
    expect(unreachable).toHaveLength(600);
    expect(spy).toHaveBeenCalledTimes(1);
  });
});
