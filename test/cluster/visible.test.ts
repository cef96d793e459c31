/** Members that drain or are lost stay visible in Consul, and get no child. */
import { describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { dpool } from "../helpers/command-line.ts";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { startServe } from "../helpers/processes.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually, within } from "../helpers/wait.ts";

const SETTLE_MS = 20_000;

async function cluster() {
  const consul = await startConsul();
  onTestFinished(() => consul.stop());
  const start = async (member: string) => {
    const args = ["--drain-ms", "600000", "--sandbox", SANDBOX_OPTION];
    const started = await startServe({ member, consul: consul.httpAddress, args });
    onTestFinished(() => started.end());
    return started;
  };
  const [draining, lost, up] = await Promise.all([start("m1"), start("m2"), start("m3")]);
  return { consul: consul.httpAddress, draining, lost, up };
}

describe.skipIf(consulMissing !== undefined)(
  `members that admit nothing${consulMissing ? ` (${consulMissing})` : ""}`,
  () => {
    test("are shown with their state and their children", { timeout: 90_000 }, async () => {
      const { consul, draining, lost, up } = await cluster();
      const placed = await fetch(`${draining.url}/children`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ pool: "pipeline", command: ["sleep", "600"] }),
      });
      const { id } = (await placed.json()) as { id: string };
      draining.kill("SIGTERM");
      lost.kill("SIGKILL");
      await within("the end of m2", SETTLE_MS, lost.exited);
      // Consul would notice by itself after 15 seconds.
      const check = `${consul}/v1/agent/check/fail/distributed-pool-m2-ttl?note=killed`;
      await fetch(check, { method: "PUT" });

      const access = [new DistributedPool({ url: up.url }), new DistributedPool({ consul })];
      onTestFinished(async () => {
        await Promise.all(access.map((each) => each.close()));
      });
      for (const pools of access) {
        await eventually(
          "the pool to show both",
          async () =>
            expect((await pools.pools()).pools).toEqual([
              { pool: "pipeline", members: 1, max: 5, draining: 1, lost: 1 },
            ]),
          SETTLE_MS,
        );
        const { members } = await pools.pool("pipeline");
        const byName = members.toSorted((a, b) => (a.member < b.member ? -1 : 1));
        expect(byName).toMatchObject([
          { state: "draining", load: { active: 1, max: 0 } },
          { state: "lost", load: null, detail: "Consul: heartbeat of the member: killed" },
          { state: "up", load: { active: 0 } },
        ]);
        const endsAt = Date.parse(byName[0]?.drainEndsAt ?? "");
        expect(endsAt - Date.now()).toBeGreaterThan(500_000);
        for (const { startedAt } of byName) expect(Date.parse(startedAt ?? "")).not.toBeNaN();
        expect(await pools.children("pipeline", { status: "running" })).toMatchObject({
          children: [{ id, status: "running" }],
          unreachable: ["m2"],
          draining: [{ member: "m1", drainEndsAt: byName[0]?.drainEndsAt }],
        });
        const print = { command: ["sh", "-c", "echo $POOL_MEMBER"] };
        const { stdout } = await pools.run("pipeline", print);
        expect(stdout).toBe("m3\n");
      }

      const listed = await dpool(["members", "--url", up.url]);
      expect(listed.stdout).toMatch(/^m1 +pipeline +draining \d+s +1\/0 /m);
      expect(listed.stdout).toMatch(/^m2 +pipeline +lost +no answer /m);
      expect(listed.stdout).toMatch(/^m3 +pipeline +up +0\/5 /m);
      expect(listed.stderr).toBe("dpool: m2 is lost: Consul: heartbeat of the member: killed\n");
      const ps = await dpool(["ps", "--consul", consul]);
      expect(ps.stdout).toMatch(new RegExp(`^${id} .* running, drains \\d+s `, "m"));
      expect(ps.stderr).toBe("dpool: no answer from m2\n");
    });
  },
);
