/** A member that cannot start children harms no call, says so, and comes back when it is well. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
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

/** A small file system of its own, which `fill` fills to its last byte. */
function smallFolder() {
  const folder = mkdtempSync(join(tmpdir(), "dpool-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m,nr_inodes=1000,mode=1777", "tmpfs", folder]);
  onTestFinished(() => {
    execFileSync("umount", ["-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  const ballast = join(folder, "ballast");
  return {
    folder,
    fill() {
      mkdirSync(ballast);
      const { bavail, bsize, ffree } = statfsSync(folder);
      writeFileSync(join(ballast, "bytes"), Buffer.alloc(bavail * bsize));
      for (let left = ffree - 1; left > 0; left--) writeFileSync(join(ballast, String(left)), "");
    },
    empty: () => rmSync(ballast, { recursive: true }),
  };
}

async function cluster() {
  const consul = await startConsul();
  onTestFinished(() => consul.stop());
  const disk = smallFolder();
  const members: MemberProcess[] = [];
  for (let index = 1; index <= 5; index++) {
    const member = await startServe({
      member: `m${index}`,
      consul: consul.httpAddress,
      pool: "pipeline=4",
      args: ["--sandbox", SANDBOX_OPTION],
      env: index === 1 ? { TMPDIR: disk.folder } : {},
    });
    onTestFinished(() => member.end());
    members.push(member);
  }
  return { consul, disk, members, sick: members[0] as MemberProcess };
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

const canMount = process.getuid?.() === 0;

describe.skipIf(consulMissing || !canMount)("a member with a full disk", () => {
  test("fails no call, says so, and is back when there is room", { timeout: 180_000 }, async () => {
    const { consul, disk, members, sick } = await cluster();
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
    disk.fill();
    for (const pools of ways) expect(await failuresOf(pools)).toEqual([]);
    await eventually(
      "the member says that it is sick",
      async () => {
        const ready = await fetch(`${sick.url}/readyz`);
        expect([ready.status, await ready.text()]).toEqual([503, expect.stringMatching(/start/)]);
      },
      SICK_MS,
    );
    expect(sick.log).toMatch(/children could not be started.*No space left on device/);
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
    disk.empty();
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
