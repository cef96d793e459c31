/** Lines: the callers of one process wait together, by one stream to each member. */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { SlotEvent } from "../../openapi/events.ts";
import { readSlotEvents } from "../../sdk/typescript/http/read-events.ts";
import { DistributedPool, PoolError } from "../../sdk/typescript/node.ts";
import { newToken } from "../../server/access/tokens.ts";
import { EmbeddedRegistry, type RunningMember } from "../../server/main.ts";
import {
  callEvents,
  getJson,
  idle,
  lastOf,
  post,
  problemOf,
  startMembers,
  startOne,
  streamOf,
  textOf,
  until,
  within,
} from "../helpers/member.ts";

const WAIT_MS = 60_000;
const HOLD = { command: ["sleep", "600"], deadlineMs: 120_000 };

interface Count {
  readonly pools: Record<string, { active: number; max: number; queued: number }>;
}
const loadOf = async ({ url }: RunningMember) =>
  (await getJson<Count>(`${url}/children/count`)).pools.pipeline;

/** Takes a slot until the answer's function is called. */
async function hold({ url }: RunningMember, headers: Record<string, string> = {}) {
  const events = streamOf(await post(url, "/call", { ...HOLD, pool: "pipeline" }, headers));
  const { value: placed } = await within("the holder to be placed", events.next());
  if (placed?.type !== "placed") throw new Error(`expected placed; got ${JSON.stringify(placed)}`);
  return () => fetch(`${url}/children/${placed.child.id}?graceMs=0`, { method: "DELETE", headers });
}

/** Subscribes to slots of a member. */
async function subscribe({ url }: RunningMember, count: number, headers = {}) {
  const left = new AbortController();
  const body = { pool: "pipeline", waitMs: WAIT_MS, count };
  const answer = await post(url, "/slots", body, headers, left.signal);
  const events = readSlotEvents(answer.body as ReadableStream<Uint8Array>);
  const next = async () =>
    (await within("the next event of the slots", events.next())).value as SlotEvent | undefined;
  const granted = async () => {
    for (;;) {
      const event = await next();
      if (event?.type === "granted") return event.slot.id;
      if (event?.type !== "queued")
        throw new Error(`expected a slot; got ${JSON.stringify(event)}`);
    }
  };
  const location = answer.headers.get("location") ?? "";
  const change = async (changed: number) => {
    const response = await fetch(`${url}${location}`, {
      method: "PATCH",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ count: changed }),
    });
    return response.status === 200 ? response.json() : (await problemOf(response)).code;
  };
  return { next, granted, change, location, leave: () => left.abort() };
}

test("2,000 callers on few slots all get their results", async () => {
  const options = {
    pools: { pipeline: { maxChildren: 6, reuse: true } },
    maxStreams: 10_000,
    maxRate: 100_000,
  };
  const members = await startMembers(...Array.from({ length: 5 }, () => options));
  const [gateway] = members as [RunningMember];
  const pools = new DistributedPool({ url: gateway.url });
  onTestFinished(() => pools.close());
  const call = pools.with({ waitMs: 300_000, stdout: null, stderr: null });
  const results = Array.from({ length: 2_000 }, (_, index) =>
    call.call("pipeline", (n: number) => n, index),
  );
  const values = await within("all results", Promise.all(results), 240_000);
  expect(values).toEqual(Array.from({ length: 2_000 }, (_, index) => index));
  for (const member of members) {
    await idle(member);
    expect(await loadOf(member)).toMatchObject({ active: 0, queued: 0 });
  }
}, 300_000);

test("a subscription gets slots one after the other, as many as it asks for", async () => {
  const member = await startOne({ pools: { pipeline: { maxChildren: 3, maxQueue: 4 } } });
  const free = await hold(member);
  const slots = await subscribe(member, 3);
  const two = [await slots.granted(), await slots.granted()];
  expect(new Set(two).size).toBe(2);
  expect(await slots.next()).toEqual({ type: "queued", position: 1, count: 1 });
  expect(await loadOf(member)).toEqual({ active: 3, max: 3, queued: 1 });
  // The queue has room for four.
  expect(await slots.change(9)).toEqual({ count: 4 });
  expect(await slots.next()).toEqual({ type: "queued", position: 1, count: 4 });
  expect(await slots.change(0)).toEqual({ count: 0 });
  await free();
  await until("a slot to be free", async () => (await loadOf(member))?.active === 2);
  expect(await slots.change(1)).toEqual({ count: 1 });
  const third = await slots.granted();
  const spec = { pool: "pipeline", command: ["echo", "claimed"], slot: third };
  expect(textOf(await callEvents(member.url, "/call", spec))).toBe("claimed\n");
  slots.leave();
  await idle(member);
});

test("bad subscriptions are refused", async () => {
  const member = await startOne({ pools: { pipeline: 1 } });
  for (const count of [0, 1.5, -1, "2", null, 100_001]) {
    const problem = await problemOf(await post(member.url, "/slots", { pool: "pipeline", count }));
    expect(problem, String(count)).toMatchObject({
      code: "invalid_request",
      fields: [{ path: "/count" }],
    });
  }
  const json = { accept: "application/json" };
  const problem = await problemOf(
    await post(member.url, "/slots", { pool: "pipeline", count: 2 }, json),
  );
  expect(problem.code).toBe("invalid_request");
  const slots = await subscribe(member, 1);
  for (const count of [-1, 100_001, "1"])
    expect(await slots.change(count as number)).toBe("invalid_request");
  slots.leave();
  await until("it to be gone", async () => (await slots.change(1)) === "slot_not_found");
});

test("a subscriber that is killed gives back its slots, and leaves the queue", async () => {
  const member = await startOne({ pools: { pipeline: 2 } });
  const slots = await subscribe(member, 5);
  await slots.granted();
  await slots.granted();
  expect(await loadOf(member)).toEqual({ active: 2, max: 2, queued: 3 });
  slots.leave();
  await idle(member);
  expect(await loadOf(member)).toEqual({ active: 0, max: 2, queued: 0 });
});

test("callers with tokens are served in turn, whatever they ask for", async () => {
  const folder = await mkdtemp(join(tmpdir(), "dpool-lines-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const tokens = ["greedy", "modest"].map((name) => newToken(name, ["call", "observe"], ["*"]));
  const tokenFile = join(folder, "tokens");
  await writeFile(tokenFile, tokens.map(({ line }) => `${line}\n`).join(""), { mode: 0o600 });
  const member = await startOne({ pools: { pipeline: 1 }, tokenFile });
  const [greedy = {}, modest = {}] = tokens.map(
    ({ token }): Record<string, string> => ({ authorization: `Bearer ${token}` }),
  );
  const free = await hold(member, greedy);
  const waiting = {
    greedy: await subscribe(member, 100, greedy),
    modest: await subscribe(member, 2, modest),
  };
  const foreign = await fetch(`${member.url}${waiting.greedy.location}`, {
    method: "PATCH",
    headers: { "content-type": "application/json", ...modest },
    body: '{"count":0}',
  });
  expect((await problemOf(foreign)).code).toBe("forbidden");
  await free();
  const order: string[] = [];
  const serve = async (name: "greedy" | "modest", headers: Record<string, string>) => {
    const slot = await waiting[name].granted();
    order.push(name);
    await fetch(`${member.url}/slots/${slot}`, { method: "DELETE", headers });
  };
  await serve("greedy", greedy);
  await serve("modest", modest);
  await serve("greedy", greedy);
  await serve("modest", modest);
  await serve("greedy", greedy);
  await serve("greedy", greedy);
  expect(order).toEqual(["greedy", "modest", "greedy", "modest", "greedy", "greedy"]);
});

test("callers of one gateway are served in their order, and read their positions", async () => {
  const [member, gateway] = (await startMembers(
    { pools: { pipeline: 1 } },
    { pools: { other: 1 } },
  )) as [RunningMember, RunningMember];
  const free = await hold(member);
  const order: number[] = [];
  const ends: Promise<void>[] = [];
  for (const number of [0, 1, 2, 3, 4]) {
    const spec = { command: ["true"], waitMs: WAIT_MS };
    const events = streamOf(await post(gateway.url, "/pools/pipeline/call", spec));
    const { value } = await within("the position", events.next());
    expect(value).toEqual({ type: "queued", position: number + 1 });
    const end = async () => {
      for await (const event of events) if (event.type === "placed") order.push(number);
    };
    ends.push(end());
  }
  await until("all to wait", async () => (await loadOf(member))?.queued === 5);
  await free();
  await within("all calls", Promise.all(ends));
  expect(order).toEqual([0, 1, 2, 3, 4]);
});

test("a member that drains sends its waiting callers to the others", async () => {
  const registry = new EmbeddedRegistry();
  const [m1, m2, gateway] = (await startMembers(
    { pools: { pipeline: 1 }, registry, graceMs: 0 },
    { pools: { pipeline: 1 }, registry },
    { pools: { other: 1 }, registry },
  )) as [RunningMember, RunningMember, RunningMember];
  await hold(m1);
  const free = await hold(m2);
  const spec = { command: ["sh", "-c", "echo $POOL_MEMBER"], waitMs: WAIT_MS };
  const calls = Array.from({ length: 20 }, () =>
    callEvents(gateway.url, "/pools/pipeline/call", spec),
  );
  await until("all to wait at both", async () =>
    (await Promise.all([m1, m2].map(loadOf))).every((load) => load?.queued === 20),
  );
  await m1.stop();
  await free();
  const ends = await within("all calls", Promise.all(calls), 60_000);
  expect(ends.map((events) => lastOf(events, "result").type)).toHaveLength(20);
  expect(new Set(ends.map((events) => textOf(events)))).toEqual(new Set(["m2\n"]));
});

test("more callers than the members' queues have room for: the last ones are refused", async () => {
  const pool = { pools: { pipeline: { maxChildren: 1, maxQueue: 3 } } };
  const members = (await startMembers(pool, pool)) as [RunningMember, RunningMember];
  const frees = await Promise.all(members.map((member) => hold(member)));
  const spec = { command: ["true"], waitMs: WAIT_MS };
  const calls = Array.from({ length: 9 }, async () => {
    const answer = await post(members[0].url, "/pools/pipeline/call", spec);
    if (answer.status !== 200) return (await problemOf(answer)).code;
    let last = "";
    for await (const event of streamOf(answer))
      last = event.type === "failed" ? event.problem.code : event.type;
    return last;
  });
  const settled: string[] = [];
  for (const call of calls) void call.then((end) => settled.push(end));
  await until("three to be refused", () => settled.length === 3);
  await Promise.all(frees.map((free) => free()));
  const ends = await within("all calls", Promise.all(calls));
  expect(ends.filter((end) => end === "result")).toHaveLength(6);
  expect(ends.filter((end) => end === "all_members_at_capacity")).toHaveLength(3);
});

/** A proxy in front of a member that answers as an older one, which has no `count`. */
async function asOlder({ url }: RunningMember) {
  const refused: string[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    if (body.includes('"count"')) {
      refused.push(body);
      response.writeHead(400, { "content-type": "application/problem+json" }).end("{}");
      return;
    }
    const { method = "GET", headers } = request;
    const left = new AbortController();
    response.once("close", () => left.abort());
    const passed = Object.entries(headers).filter(
      ([name]) => !["connection", "content-length", "host", "transfer-encoding"].includes(name),
    ) as [string, string][];
    try {
      const answer = await fetch(`${url}${request.url}`, {
        method,
        headers: passed,
        signal: left.signal,
        ...(body === "" ? {} : { body }),
      });
      const type = answer.headers.get("content-type") ?? "application/json";
      const child = answer.headers.get("pool-child-id");
      response.writeHead(answer.status, {
        "content-type": type,
        ...(child === null ? {} : { "pool-child-id": child }),
      });
      for await (const chunk of answer.body ?? []) response.write(chunk);
      response.end();
    } catch {
      response.destroy();
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { refused, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test("an older member, without count, grants one slot after the other", async () => {
  const registry = new EmbeddedRegistry();
  const [old, gateway] = (await startMembers(
    { pools: { pipeline: 1 }, registry },
    { pools: { other: 1 }, registry },
  )) as [RunningMember, RunningMember];
  const proxy = await asOlder(old);
  registry.move(old.name, proxy.url);
  const free = await hold(old);
  const spec = { command: ["true"], waitMs: WAIT_MS };
  const calls = Array.from({ length: 10 }, () =>
    callEvents(gateway.url, "/pools/pipeline/call", spec),
  );
  await until("one of them to wait there", async () => (await loadOf(old))?.queued === 1);
  await free();
  const ends = await within("all calls", Promise.all(calls));
  expect(ends.map((events) => lastOf(events, "result").type)).toHaveLength(10);
  expect(proxy.refused.length).toBeGreaterThan(0);
  await idle(old);
});

test("a caller that leaves after its grant gives the slot to the next one", async () => {
  const [member, gateway] = (await startMembers(
    { pools: { pipeline: 1 } },
    { pools: { other: 1 } },
  )) as [RunningMember, RunningMember];
  const free = await hold(member);
  const pools = new DistributedPool({ url: gateway.url });
  onTestFinished(() => pools.close());
  const codes = await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      const left = new AbortController();
      const call = pools
        .with({ waitMs: WAIT_MS, signal: left.signal })
        .call("pipeline", { command: ["true"] });
      await until("it to wait", async () => ((await loadOf(member))?.queued ?? 0) > 0);
      if (index === 0) await free();
      if (index % 2 === 1) left.abort();
      return call.then(
        () => "result",
        (error: unknown) => (error instanceof PoolError ? error.code : "left"),
      );
    }),
  );
  expect(codes.filter((code) => code === "result").length).toBeGreaterThanOrEqual(6);
  await idle(member);
  await until("nobody to wait", async () => (await loadOf(member))?.queued === 0);
});
