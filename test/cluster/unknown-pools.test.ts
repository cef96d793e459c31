/** In Consul, a pool that nobody registered differs from one whose members are away. */
import { expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { startMember } from "../../server/main.ts";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { getJson, post, problemOf, until } from "../helpers/member.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

test.skipIf(consulMissing)("gateway and SDK tell them apart", { timeout: 90_000 }, async () => {
  const agent = await startConsul();
  onTestFinished(() => agent.stop());
  const consul = { address: agent.httpAddress };
  const options = { consul, port: 0, sandbox: SANDBOX_OPTION, drainMs: 0 } as const;
  const members = [
    await startMember({ ...options, name: "m1", pools: { pipeline: 1 } }),
    await startMember({ ...options, name: "m2", pools: { other: 1 } }),
  ];
  onTestFinished(() => Promise.all(members.map((member) => member.stop())).then(() => {}));
  await Promise.all(members.map(({ joined }) => joined));
  const url = members[1]?.url ?? "";
  const pools = new DistributedPool({ consul });
  onTestFinished(() => pools.close());
  const command = { command: ["true"] };
  const refusals = async (pool: string) => [
    (await problemOf(await post(url, `/pools/${pool}/call`, command))).code,
    (await problemOf(await post(url, `/pools/${pool}/children`, command))).code,
    await pools.call(pool, command).catch(({ code }) => code),
  ];
  const views = async (pool: string) => [
    (await problemOf(await fetch(`${url}/pools/${pool}`))).code,
    await pools.pool(pool).catch(({ code }) => code),
    await pools.children(pool).catch(({ code }) => code),
  ];
  await until("both members on the list", async () => {
    const seen = await getJson<{ pools?: object[] }>(`${url}/pools`);
    return seen.pools?.length === 2;
  });
  const unknown = [...(await refusals("video")), ...(await views("video"))];
  expect(new Set(unknown)).toEqual(new Set(["pool_not_found"]));
  await expect(pools.call("video", command)).rejects.toThrow(/the pools are: other, pipeline$/);
  await agent.ask("/v1/agent/service/maintenance/distributed-pool-m1?enable=true", "PUT");
  await until("the maintenance on the list", async () => {
    const seen = await getJson<{ pools?: { members: number }[] }>(`${url}/pools`);
    return seen.pools?.some(({ members }) => members === 0) ?? false;
  });
  await until("the SDK to see it", async () => {
    const code = await pools.call("pipeline", command).catch((error) => error.code);
    return code === "no_members_available";
  });
  expect(new Set(await refusals("pipeline"))).toEqual(new Set(["no_members_available"]));
  const { members: shown } = await pools.pool("pipeline");
  expect(shown).toMatchObject([{ member: "m1", state: "sick" }]);
});
