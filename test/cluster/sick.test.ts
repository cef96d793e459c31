/** A member that cannot start children harms no call, says so, and comes back when it is well. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { type MemberProcess, startServe } from "../helpers/processes.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually } from "../helpers/wait.ts";

const CALLS = 120;
const SICK_MS = 60_000;

/** A folder that the children of one member see, and without which none of them can start. */
function neededFolder() {
  const parent = mkdtempSync(join(tmpdir(), "dpool-sick-"));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  // The children's user has to reach it.
  chmodSync(parent, 0o755);
  const folder = join(parent, "models");
  const config = join(parent, "config.yaml");
  mkdirSync(folder);
  const pool = `{maxChildren: 4, readOnly: ["${folder}"]}`;
  writeFileSync(config, `pools: {pipeline: ${pool}}\n`);
  return {
    config,
    lose: () => rmSync(folder, { recursive: true }),
    restore: () => mkdirSync(folder),
  };
}

async function cluster() {
  const consul = await startConsul();
  onTestFinished(() => consul.stop());
  const needed = neededFolder();
  const members: MemberProcess[] = [];
  for (let index = 1; index <= 5; index++) {
    const member = await startServe({
      member: `m${index}`,
      consul: consul.httpAddress,
      ...(index === 1 ? { pool: null } : { pool: "pipeline=4" }),
      args: [...(index === 1 ? ["--config", needed.config] : []), ...["--sandbox", SANDBOX_OPTION]],
    });
    onTestFinished(() => member.end());
    members.push(member);
  }
  return { consul, needed, members, sick: members[0] as MemberProcess };
}

/** The failures of many calls, four at a time. */
async function failuresOf(pools: DistributedPool): Promise<string[]> {
  const failures: string[] = [];
  let left = CALLS;
  const caller = async () => {
    while (left-- > 0)
      await pools
        .call("pipeline", { command: ["true"] })
        .catch((error: Error) => failures.push(error.message));
  };
  await Promise.all([caller(), caller(), caller(), caller()]);
  return failures;
}

/** Places a child on this very member. */
function post({ url }: MemberProcess, spec: object): Promise<Response> {
  return fetch(`${url}/children`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ pool: "pipeline", ...spec }),
  });
}

describe.skipIf(consulMissing)("a member that cannot start children", () => {
  test("fails no call, says so, and is back when it can", { timeout: 180_000 }, async () => {
    const { consul, needed, members, sick } = await cluster();
    const ways = [
      { url: members[1]?.url ?? "" },
      { url: sick.url },
      { consul: { address: consul.httpAddress } },
    ].map((way) => new DistributedPool(way, { stdout: null, stderr: null }));
    onTestFinished(() => void Promise.all(ways.map((pools) => pools.close())));
    // One child on each member, so that all have the same load.
    const [sleeping] = await Promise.all(
      members.map((member) => post(member, { command: ["sleep", "170"] })),
    );
    const { id } = (await (sleeping as Response).json()) as { id: string };
    needed.lose();
    for (const pools of ways) expect(await failuresOf(pools)).toEqual([]);
    await eventually(
      "the member says that it is sick",
      async () => {
        const ready = await fetch(`${sick.url}/readyz`);
        expect([ready.status, await ready.text()]).toEqual([503, expect.stringMatching(/start/)]);
      },
      SICK_MS,
    );
    expect(sick.log).toMatch(/children could not be started.*No such file or directory/);
    const refused = await post(sick, { command: ["true"] });
    expect([refused.status, await refused.json()]).toEqual([
      500,
      expect.objectContaining({ code: "sandbox_unavailable", admitted: false }),
    ]);
    const passing = () => consul.ask<unknown[]>("/v1/health/service/distributed-pool?passing");
    await eventually(
      "Consul shows the others alone",
      async () => expect(await passing()).toHaveLength(4),
      SICK_MS,
    );
    // Another member still finds the child that runs there.
    const child = await fetch(`${members[1]?.url}/children/${id}`);
    expect([child.status, await child.json()]).toEqual([
      200,
      expect.objectContaining({ status: "running" }),
    ]);
    needed.restore();
    await eventually(
      "the member is well",
      async () => expect((await fetch(`${sick.url}/readyz`)).status).toBe(200),
      SICK_MS,
    );
    await eventually(
      "Consul shows all",
      async () => expect(await passing()).toHaveLength(5),
      SICK_MS,
    );
    expect((await post(sick, { command: ["true"] })).status).toBe(201);
  });
});
