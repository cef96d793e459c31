/**
 * Functions named by the hashes of their sources: each member is sent a source once, and no call
 * runs twice.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { hashOf } from "../../sdk/typescript/node/hash.ts";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { EmbeddedRegistry, type RunningMember } from "../../server/main.ts";
import { idle, type Options, post, problemOf, startMembers, startOne } from "../helpers/member.ts";
import { type Recorded, record } from "../helpers/recording.ts";

/** Two functions of a thousand bytes and more. */
const SOURCE = `(n) => n + 1 // ${"x".repeat(1_000)}`;
const OTHER = `(n) => n + 2 // ${"y".repeat(1_000)}`;
const named = (source: string, ...args: unknown[]) => ({
  function: { source, hash: hashOf(source), args },
});
const byHash = (source: string, ...args: unknown[]) => ({
  function: { hash: hashOf(source), args },
});

/**
 * Starts a gateway that serves another pool, and members of `pipeline` behind recording proxies.
 */
async function startRecorded(...options: Options[]): Promise<{
  pools: DistributedPool;
  gateway: RunningMember;
  members: RunningMember[];
  sent: Recorded[][];
}> {
  const registry = new EmbeddedRegistry();
  const [gateway, ...members] = (await startMembers(
    { registry, pools: { other: 1 } },
    ...options.map((given) => ({ registry, ...given })),
  )) as [RunningMember, ...RunningMember[]];
  const sent = await Promise.all(members.map((member) => record(member, registry)));
  const pools = new DistributedPool({ url: gateway.url });
  onTestFinished(() => pools.close());
  return { pools, gateway, members, sent };
}

/** The calls that a member received: the status of each answer, and whether the source was sent. */
const callsIn = (sent: readonly Recorded[] | undefined) =>
  (sent ?? [])
    .filter(({ method }) => method === "POST")
    .map(({ body, status }) => `${status} ${body.includes('"source"') ? "source" : "hash"}`);

test("each member is sent the source once, through a gateway too", async () => {
  const { pools, members, sent } = await startRecorded(
    { pools: { pipeline: 1 } },
    { pools: { pipeline: 1 } },
  );
  for (const [round, full] of [...members, ...members].entries()) {
    // The full member refuses, so the other one takes the call.
    const { id } = (await (
      await post(full.url, "/children", { pool: "pipeline", command: ["sleep", "60"] })
    ).json()) as { id: string };
    expect(await pools.call("pipeline", named(SOURCE, round))).toBe(round + 1);
    await pools.child(id).stop();
    await Promise.all(members.map(idle));
  }
  // A caller that believes an older load asks the full member first.
  const isNoRefusal = (call: string) => !call.startsWith("503");
  for (const calls of sent)
    expect(callsIn(calls).filter(isNoRefusal)).toEqual(["409 hash", "200 source", "200 hash"]);
});

test("a gateway supplies a source it has; if not, it asks the caller and no member", async () => {
  const { gateway, sent } = await startRecorded({});
  const unknown = await post(gateway.url, "/pools/pipeline/call", byHash(SOURCE, 1));
  expect([unknown.status, (await problemOf(unknown)).code]).toEqual([409, "source_unknown"]);
  expect(sent[0]).toEqual([]);
  const json = { accept: "application/json" };
  expect(
    await (await post(gateway.url, "/pools/pipeline/call", named(SOURCE, 1), json)).json(),
  ).toMatchObject({ value: 2 });
  expect(
    await (await post(gateway.url, "/pools/pipeline/call", byHash(SOURCE, 2), json)).json(),
  ).toMatchObject({ value: 3 });
  expect(callsIn(sent[0])).toEqual(["409 hash", "200 source", "200 hash"]);
});

test("a source that was evicted is asked for once more", async () => {
  // The cache has room for one of the two.
  const { pools, sent } = await startRecorded({ sourceCacheBytes: 2_000 });
  for (const source of [SOURCE, OTHER, OTHER, SOURCE])
    await pools.call("pipeline", named(source, 1));
  expect(callsIn(sent[0])).toEqual([
    "409 hash",
    "200 source",
    "409 hash",
    "200 source",
    "200 hash",
    "409 hash",
    "200 source",
  ]);
});

test("a member without a cache is sent the source each time", async () => {
  const { pools, sent } = await startRecorded({ sourceCacheBytes: 0 });
  for (let round = 0; round < 2; round++)
    expect(await pools.call("pipeline", named(SOURCE, 1))).toBe(2);
  expect(callsIn(sent[0])).toEqual(["409 hash", "200 source", "409 hash", "200 source"]);
});

test("the source of a placed child is sent once too", async () => {
  const { pools, sent } = await startRecorded({});
  for (let round = 0; round < 2; round++)
    expect(await (await pools.placeChild("pipeline", named(SOURCE, 1))).exit).toMatchObject({
      value: 2,
    });
  expect(callsIn(sent[0])).toEqual(["409 hash", "201 source", "201 hash"]);
});

test("the second try has the remainder of the deadline", async () => {
  const { pools, sent } = await startRecorded({});
  await pools.call("pipeline", { ...named(SOURCE, 1), deadlineMs: 60_000 });
  const [first = 0, second = 0] = (sent[0] ?? [])
    .filter(({ method }) => method === "POST")
    .map(({ body }) => (JSON.parse(body) as { deadlineMs: number }).deadlineMs);
  expect(first).toBeLessThanOrEqual(60_000);
  expect(second).toBeLessThanOrEqual(first);
});

test("a try by hash that is lost is not repeated", async () => {
  let requests = 0;
  const server = createServer((incoming) => {
    requests += 1;
    incoming.socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const pools = new DistributedPool({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  onTestFinished(() => pools.close());
  await expect(pools.call("pipeline", named(SOURCE))).rejects.toMatchObject({
    code: "member_lost",
  });
  expect(requests).toBe(1);
});

test("a member asks for the source without taking a slot", async () => {
  const { url } = await startOne({ pools: { pipeline: 1 } });
  const running = await post(url, "/children", { pool: "pipeline", command: ["sleep", "60"] });
  expect(running.status).toBe(201);
  // The member asks although no slot is free, because it checks the source first.
  expect(
    (await problemOf(await post(url, "/call", { pool: "pipeline", ...byHash(SOURCE) }))).code,
  ).toBe("source_unknown");
  expect(
    (await problemOf(await post(url, "/call", { pool: "pipeline", ...named(SOURCE) }))).code,
  ).toBe("at_capacity");
});

test("a hash that does not match its source is refused, through the SDK too", async () => {
  const { url } = await startOne();
  const wrong = { function: { source: SOURCE, hash: hashOf(OTHER) } };
  for (const [path, body] of [
    ["/pools/pipeline/call", wrong],
    ["/call", { pool: "pipeline", ...wrong }],
    ["/children", { pool: "pipeline", ...wrong }],
  ] as const) {
    const given = await problemOf(await post(url, path, body));
    expect(given).toMatchObject({ code: "invalid_request", fields: [{ path: "/function/hash" }] });
    expect(given.detail).toContain(hashOf(SOURCE));
  }
  expect(
    (await problemOf(await post(url, "/call", { pool: "pipeline", ...byHash(OTHER) }))).code,
  ).toBe("source_unknown");
  const pools = new DistributedPool({ url });
  onTestFinished(() => pools.close());
  await expect(pools.call("pipeline", wrong)).rejects.toMatchObject({ code: "invalid_request" });
  await expect(pools.call("pipeline", byHash(SOURCE))).rejects.toMatchObject({
    code: "source_unknown",
    retryable: false,
  });
});
