/** A member that drains stays visible, with its children and the time that is left to them. */
import { expect, onTestFinished, test } from "vitest";
import type { PoolChildList } from "../../openapi/types.gen.ts";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { EmbeddedRegistry, type RunningMember } from "../../server/main.ts";
import { getJson, post, problemOf, startMembers } from "../helpers/member.ts";

const DRAIN_MS = 600_000;
const SLEEP = { command: ["sleep", "600"] };

/** Two members, of which `m1` drains while a child runs on it. */
async function draining(pools: Record<string, number>) {
  const [m1, m2] = (await startMembers({ drainMs: DRAIN_MS }, { pools })) as [
    RunningMember,
    RunningMember,
  ];
  const placed = await post(m1.url, "/children", { pool: "pipeline", ...SLEEP });
  const { id } = (await placed.json()) as { id: string };
  const began = Date.now();
  await post(m1.url, "/drain");
  const ended = Date.now();
  // The last child ends, so that the member leaves.
  onTestFinished(async () => {
    await fetch(`${m1.url}/children/${id}?graceMs=0`, { method: "DELETE" });
  });
  const isRight = (endsAt: string | undefined) => {
    const left = Date.parse(endsAt ?? "") - DRAIN_MS;
    return left >= began && left <= ended;
  };
  return { m1, m2, id, isRight };
}

test("in every listing, beside a member that admits", async () => {
  const { m1, m2, id, isRight } = await draining({ pipeline: 3 });
  for (const { url } of [m1, m2]) {
    const access = new DistributedPool({ url });
    onTestFinished(() => access.close());
    expect(await access.pools()).toEqual({
      pools: [{ pool: "pipeline", members: 1, max: 3, draining: 1, lost: 0 }],
    });
    const { members } = await access.pool("pipeline");
    expect(members).toMatchObject([
      { member: "m1", state: "draining", load: { active: 1, max: 0 } },
      { member: "m2", state: "up", load: { active: 0, max: 3 } },
    ]);
    for (const { startedAt } of members) expect(Date.parse(startedAt ?? "")).not.toBeNaN();
    expect(members.map(({ drainEndsAt }) => isRight(drainEndsAt))).toEqual([true, false]);
    const { children, unreachable, draining } = await access.children("pipeline");
    expect(children.map((child) => child.id)).toEqual([id]);
    expect([unreachable, draining?.map(({ member }) => member)]).toEqual([[], ["m1"]]);
    expect(isRight(draining?.[0]?.drainEndsAt)).toBe(true);
  }
  const called = await post(m2.url, "/pools/pipeline/run", { command: ["true"] });
  expect(await called.json()).toMatchObject({ child: { member: "m2" } });
});

test("alone in its pool, which admits nothing and is still listed", async () => {
  const { m2, id } = await draining({ other: 1 });
  expect(await getJson(`${m2.url}/pools`)).toMatchObject({
    pools: [
      { pool: "other", members: 1, max: 1, draining: 0 },
      { pool: "pipeline", members: 0, max: 0, draining: 1, lost: 0 },
    ],
  });
  expect(await getJson<PoolChildList>(`${m2.url}/pools/pipeline/children`)).toMatchObject({
    children: [{ id, status: "running" }],
    draining: [{ member: "m1" }],
  });
  const refused = await post(m2.url, "/pools/pipeline/run", { command: ["true"] });
  expect((await problemOf(refused)).code).toBe("no_members_available");
});

test("a member that does not answer is lost", async () => {
  const registry = new EmbeddedRegistry();
  const [m1] = (await startMembers({ registry }, { registry })) as [RunningMember];
  registry.move("m2", "http://127.0.0.1:1");
  expect(await getJson(`${m1.url}/pools/pipeline`)).toMatchObject({
    members: [
      { member: "m1", state: "up" },
      { member: "m2", state: "lost", load: null, detail: "it does not answer" },
    ],
  });
});
