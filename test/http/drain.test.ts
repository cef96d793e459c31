/** A member that drains admits nothing more, and loses no call that it has admitted. */
import { expect, onTestFinished, test } from "vitest";
import type { Count } from "../../openapi/schemas/resources.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  collect,
  getJson,
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

/** This child runs until the member stops it. */
const WAITS = { command: ["sleep", "600"], deadlineMs: 60_000 };
/** This child ends by itself, after the drain has begun. */
const PAUSES = { command: ["sh", "-c", "echo begun; sleep 1; echo finished"], deadlineMs: 60_000 };

async function begin(url: string, path: string, spec: unknown) {
  const events = streamOf(await post(url, path, spec));
  const first = (await within("the first event", events.next())).value as NumberedEvent;
  return { first, rest: () => within("the rest of the events", collect(events)) };
}

const drain = async ({ url }: RunningMember) =>
  within("the answer of POST /drain", fetch(`${url}/drain`, { method: "POST" }));
const drains = ({ url }: RunningMember) =>
  until(
    "the member to say that it drains",
    async () => (await fetch(`${url}/readyz`)).status === 503,
  );

test("children finish, their events are delivered everywhere, and the port closes", async () => {
  const [m1, m2] = (await startMembers({ drainMs: 20_000 }, { pools: { other: 1 } })) as [
    RunningMember,
    RunningMember,
  ];
  const direct = await begin(m1.url, "/call", { pool: "pipeline", ...PAUSES });
  const passed = await begin(m2.url, "/pools/pipeline/call", PAUSES);
  if (passed.first.type !== "placed") throw new Error("expected placed");

  const answer = await drain(m1);
  expect(answer.status).toBe(202);
  expect((await answer.json()) as Count).toEqual({
    member: "m1",
    pools: { pipeline: { active: 2, max: 0, queued: 0 } },
  });
  expect((await drain(m1)).status).toBe(202);
  const ready = await fetch(`${m1.url}/readyz`);
  expect([ready.status, ((await ready.json()) as { detail: string }).detail]).toEqual([
    503,
    "the member drains",
  ]);
  expect(
    (await problemOf(await post(m1.url, "/call", { pool: "pipeline", command: ["true"] }))).code,
  ).toBe("draining");
  expect(
    (await problemOf(await post(m1.url, "/slots", { pool: "pipeline", waitMs: 1_000 }))).code,
  ).toBe("draining");
  // The member has left the pool, but any member still finds its children by their ids.
  expect(
    (await problemOf(await post(m2.url, "/pools/pipeline/call", { command: ["true"] }))).code,
  ).toBe("no_members_available");
  expect(await getJson(`${m2.url}/children/${passed.first.child.id}`)).toMatchObject({
    status: "running",
  });

  for (const { rest } of [direct, passed]) {
    const events = await rest();
    expect(textOf(events)).toContain("finished\n");
    expect(lastOf(events, "result").exitCode).toBe(0);
  }
  await within("the member to leave", m1.stopped);
  await expect(fetch(`${m1.url}/livez`)).rejects.toThrow();
  expect((await fetch(`${m2.url}/livez`)).status).toBe(200);
});

test("callers that wait are sent elsewhere, and keep the time that they have waited", async () => {
  const [m1, m2, m3] = (await startMembers(
    { pools: { pipeline: 1 }, drainMs: 20_000 },
    { pools: { pipeline: 1 } },
    { pools: { other: 1 } },
  )) as RunningMember[] as [RunningMember, RunningMember, RunningMember];
  const first = await begin(m1.url, "/call", { pool: "pipeline", ...PAUSES });
  const second = await begin(m2.url, "/call", { pool: "pipeline", ...WAITS });
  const waiting = await begin(m3.url, "/pools/pipeline/call", {
    command: ["sh", "-c", "echo $POOL_MEMBER"],
    waitMs: 30_000,
  });
  expect(waiting.first).toEqual({ type: "queued", position: 1 });
  await drain(m1);
  await until(
    "the call to wait at the other member",
    async () => (await getJson<Count>(`${m2.url}/children/count`)).pools.pipeline?.queued === 1,
  );
  if (second.first.type !== "placed") throw new Error("expected placed");
  await fetch(`${m2.url}/children/${second.first.child.id}?graceMs=0`, { method: "DELETE" });
  expect(textOf(await waiting.rest())).toBe("m2\n");
  lastOf(await first.rest(), "result");
});

test("children that run after drainMs are stopped as cancelled, placed children too", async () => {
  const member = await startOne({ drainMs: 100, graceMs: 100 });
  const call = await begin(member.url, "/call", { pool: "pipeline", ...WAITS });
  const placed = (await (
    await post(member.url, "/children", { pool: "pipeline", command: ["sleep", "600"] })
  ).json()) as { id: string };
  const attached = streamOf(await fetch(`${member.url}/children/${placed.id}/events`));
  await drain(member);
  for (const events of [
    await call.rest(),
    await within("the placed child's events", collect(attached)),
  ]) {
    expect(lastOf(events, "failed").problem).toMatchObject({
      code: "cancelled",
      detail: "member m1 is stopping",
    });
  }
  await within("the member to leave", member.stopped);
});

test("stop() of an embedded member drains, and resolves when the member has left", async () => {
  const member = await startOne({ drainMs: 20_000 });
  const call = await begin(member.url, "/call", { pool: "pipeline", ...PAUSES });
  const stopped = member.stop();
  await drains(member);
  expect(textOf(await call.rest())).toContain("finished\n");
  await within("the stop", stopped);
  await member.stop();
});

test("the SDK drains the member of its URL", async () => {
  const member = await startOne();
  const pools = new DistributedPool({ url: member.url });
  onTestFinished(() => pools.close());
  expect(await pools.drain()).toEqual({
    member: "m1",
    pools: { pipeline: { active: 0, max: 0, queued: 0 } },
  });
  await within("the member to leave", member.stopped);
});
