/** The load that a member tells in its answers, and the requests that a gateway saves by it. */
import { expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { EmbeddedRegistry, type RunningMember } from "../../server/main.ts";
import {
  collect,
  eventsOf,
  idle,
  post,
  startMembers,
  startOne,
  streamOf,
  until,
  within,
} from "../helpers/member.ts";
import { cuttingProxy } from "../helpers/proxy.ts";

const loadIn = (answer: Response) => answer.headers.get("pool-load");
const SLEEP = { pool: "pipeline", command: ["sleep", "60"] };

test("admissions and refusals of a member tell its load of then", async () => {
  const member = await startOne({ pools: { pipeline: 2 } });
  const placed = await post(member.url, "/children", SLEEP);
  expect(loadIn(placed)).toBe("active=1, max=2, queued=0");
  const stream = await post(member.url, "/call", SLEEP);
  expect(loadIn(stream)).toBe("active=2, max=2, queued=0");
  const refused = await post(member.url, "/run", SLEEP);
  expect(refused.status).toBe(503);
  expect(loadIn(refused)).toBe("active=2, max=2, queued=0");
  expect(await refused.json()).toMatchObject({ load: { active: 2, max: 2, queued: 0 } });

  const events = streamOf(stream);
  await within("the child", events.next());
  const ids = [
    ((await placed.json()) as ChildInfo).id,
    stream.headers.get("pool-child-id") ?? "expected the id of a child",
  ];
  for (const id of ids) await fetch(`${member.url}/children/${id}?graceMs=0`, { method: "DELETE" });
  await within("the end", collect(events));
  await idle(member);
  const piped = await post(member.url, "/pipe?pool=pipeline&command=true", {});
  expect(loadIn(piped)).toBe("active=1, max=2, queued=0");
  await piped.text();
  await idle(member);
});

/** A gateway with these pools, and a member of the pool behind a proxy. */
async function gatewayAndOther(pools: Record<string, number>) {
  const registry = new EmbeddedRegistry();
  const [gateway, other] = (await startMembers(
    { registry, pools },
    { registry, pools: { pipeline: 2 } },
  )) as [RunningMember, RunningMember];
  const proxy = await cuttingProxy(other.url, () => undefined);
  registry.move(other.name, proxy.url);
  return { gateway, other, proxy };
}

test("a gateway sends no probe to members whose loads it knows", async () => {
  const { gateway, other, proxy } = await gatewayAndOther({ other: 1 });
  const probesOf = async () => {
    const before = proxy.requests("GET");
    const answer = await post(gateway.url, "/pools/pipeline/call", { command: ["true"] });
    expect((await eventsOf(answer)).at(-1)?.type).toBe("result");
    return proxy.requests("GET") - before;
  };
  expect(await probesOf()).toBeGreaterThan(0);
  // The end of a call tells that the member is there. A machine that is busy may take too long.
  await until("a call without a probe", async () => (await probesOf()) === 0);
  await idle(other);
});

test("a gateway takes a call itself while it is idle, and asks nobody", async () => {
  const { gateway, other, proxy } = await gatewayAndOther({ pipeline: 1 });
  const pools = new DistributedPool({ url: gateway.url }, { stdout: null, stderr: null });
  onTestFinished(() => pools.close());
  for (let calls = 0; calls < 3; calls++) await pools.call("pipeline", { command: ["true"] });
  expect(proxy.requests("GET") + proxy.requests("POST")).toBe(0);
  const first = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
  const second = await pools.placeChild("pipeline", { command: ["sleep", "60"] });
  expect([first.id, second.id].map((id) => id.split(".")[0])).toEqual(["m1", "m2"]);
  for (const child of [first, second]) await child.stop({ graceMs: 0 });
  await idle(gateway);
  await idle(other);
});
