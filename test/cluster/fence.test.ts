/** Fencing: a member that has lost Consul, or is stopped, ends the children of its pool. */
import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool, PoolError } from "../../sdk/typescript/node.ts";
import { type ConsulAgent, consulMissing, startConsul } from "../helpers/consul.ts";
import { metricsOf } from "../helpers/metrics.ts";
import { type MemberProcess, startServe } from "../helpers/processes.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually } from "../helpers/wait.ts";

/** 10 seconds, the least that a pool can have, with room for a busy machine behind it. */
const FENCE_MS = 10_000;
const FENCED_MS = 40_000;

interface Fenced {
  readonly consul: ConsulAgent;
  readonly member: MemberProcess;
  readonly pools: DistributedPool;
}

async function open(): Promise<Fenced> {
  const consul = await startConsul();
  onTestFinished(() => consul.stop());
  const args = ["--fence-ms", String(FENCE_MS), "--sandbox", SANDBOX_OPTION];
  const member = await startServe({ member: "m1", consul: consul.httpAddress, args });
  onTestFinished(() => member.end());
  const pools = new DistributedPool({ url: member.url }, { stdout: null, stderr: null });
  onTestFinished(() => pools.close());
  return { consul, member, pools };
}

/** Places a program that runs longer than any test. Its arguments are found in the process list. */
async function placed({ pools }: Fenced) {
  const seconds = `60.${randomInt(1e9)}`;
  const child = await pools.placeChild("pipeline", { command: ["sleep", seconds] });
  const isRunning = () =>
    execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })
      .split("\n")
      .some((line) => line.trim() === `sleep ${seconds}`);
  await eventually("the program runs", () => expect(isRunning()).toBe(true), FENCED_MS);
  return { child, isRunning };
}

function call({ pools }: Fenced): Promise<unknown> {
  return pools.run("pipeline", { command: ["true"] });
}

describe.skipIf(consulMissing)("a pool with a fence", { timeout: 120_000 }, () => {
  test("ends its children when Consul is away, and admits again when it is back", async () => {
    const fenced = await open();
    const { child, isRunning } = await placed(fenced);
    await fenced.consul.stop();
    await eventually(
      "the child has ended",
      async () => expect(await child.info()).toMatchObject({ status: "ended", code: "cancelled" }),
      FENCED_MS,
    );
    expect(isRunning()).toBe(false);
    const refusal = (await call(fenced).catch((error: unknown) => error)) as PoolError;
    expect(refusal).toBeInstanceOf(PoolError);
    expect(refusal.admitted).toBe(false);
    expect(fenced.member.log).toContain("its children are killed");
    const ready = await fetch(`${fenced.member.url}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining("fenced")]);
    const { series } = await metricsOf(fenced.member);
    expect(series.get("dpool_registry_up")).toBe(0);
    expect(series.get('dpool_pool_fenced{pool="pipeline"}')).toBe(1);
    await fenced.consul.restart();
    await eventually("the member admits", () => call(fenced), FENCED_MS);
    expect((await fetch(`${fenced.member.url}/readyz`)).status).toBe(200);
    expect(fenced.member.log).toContain("pool pipeline: admits again, no longer fenced");
  });

  test("ends its children while the member is stopped", async () => {
    const fenced = await open();
    const { child, isRunning } = await placed(fenced);
    fenced.member.kill("SIGSTOP");
    await eventually("the program has ended", () => expect(isRunning()).toBe(false), FENCED_MS);
    fenced.member.kill("SIGCONT");
    await eventually(
      "the member reports the ending",
      async () => expect((await child.info()).status).toBe("ended"),
      FENCED_MS,
    );
    await eventually("the member admits", () => call(fenced), FENCED_MS);
  });
});
