/** Callers and a gateway that are killed while calls wait leave nothing at the members. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Count } from "../../openapi/schemas/resources.ts";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { type MemberProcess, startServe } from "../helpers/processes.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually, within } from "../helpers/wait.ts";

const WAITERS = 20;
const SETTLE_MS = 20_000;

async function loadOf({ url }: MemberProcess) {
  const { pools } = (await (await fetch(`${url}/children/count`)).json()) as Count;
  return pools.pipeline;
}

/** Starts callers in a process of their own, which the test can kill. */
function callers(url: string, count: number) {
  const script = `
    const body = JSON.stringify({ command: ["true"], waitMs: 60000 });
    for (let n = 0; n < ${count}; n++)
      fetch("${url}/pools/pipeline/call", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      })
        // Without a reader, the answer would be garbage-collected, which closes its connection.
        .then((answer) => answer.text())
        .catch(() => {});
    setInterval(() => {}, 1000);`;
  const process = spawn(globalThis.process.execPath, ["-e", script], { stdio: "ignore" });
  onTestFinished(() => void process.kill("SIGKILL"));
  return process;
}

describe.skipIf(consulMissing !== undefined)(
  `killed callers${consulMissing ? ` (${consulMissing})` : ""}`,
  () => {
    test("a killed gateway, or killed callers, leave no queue entry and no slot behind", {
      timeout: 120_000,
    }, async () => {
      const consul = await startConsul();
      onTestFinished(() => consul.stop());
      const start = async (member: string, pool: string) => {
        const args = ["--grace-ms", "100", "--drain-ms", "0", "--sandbox", SANDBOX_OPTION];
        const started = await startServe({ member, pool, consul: consul.httpAddress, args });
        onTestFinished(() => started.end());
        return started;
      };
      const [m1, m2, gateway] = await Promise.all([
        start("m1", "pipeline=1"),
        start("m2", "pipeline=1"),
        start("gateway", "other=1"),
      ]);
      const members = [m1, m2];
      await eventually(
        "the gateway to see both",
        async () => {
          const pool = (await (await fetch(`${gateway.url}/pools/pipeline`)).json()) as {
            members: unknown[];
          };
          expect(pool.members).toHaveLength(2);
        },
        SETTLE_MS,
      );
      const holders = await Promise.all(
        members.map(async ({ url }) => {
          const response = await fetch(`${url}/children`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ pool: "pipeline", command: ["sleep", "600"] }),
          });
          return ((await response.json()) as { url: string }).url;
        }),
      );
      const all = (label: string, load: { active: number; queued: number }) =>
        eventually(
          label,
          async () =>
            expect(await Promise.all(members.map(loadOf))).toEqual(
              members.map(() => ({ max: 1, ...load })),
            ),
          SETTLE_MS,
        );

      const first = callers(gateway.url, WAITERS);
      await all("all callers to wait at both members", { active: 1, queued: WAITERS });
      first.kill("SIGKILL");
      await all("the killed callers to be gone", { active: 1, queued: 0 });

      const second = callers(gateway.url, WAITERS);
      await all("other callers to wait at both members", { active: 1, queued: WAITERS });
      gateway.kill("SIGKILL");
      await all("the waiters of the gateway to be gone", { active: 1, queued: 0 });
      second.kill("SIGKILL");
      await within("the end of the callers", SETTLE_MS, once(second, "exit"));

      for (const url of holders) await fetch(`${url}?graceMs=0`, { method: "DELETE" });
      await all("no slot to be held", { active: 0, queued: 0 });
    });
  },
);
