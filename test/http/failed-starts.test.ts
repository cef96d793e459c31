/** Children that cannot be started are refused, and run on another member. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { getJson, idle, post, problemOf, startMembers, until } from "../helpers/member.ts";
import { HAS_BUBBLEWRAP } from "../helpers/sandbox.ts";

const TRUE = { command: ["true"] };

/** Two members: children of the first one see a folder that can be taken away. */
async function open() {
  const folder = mkdtempSync(join(tmpdir(), "dpool-bind-"));
  chmodSync(folder, 0o755);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const bound = join(folder, "bound");
  mkdirSync(bound);
  const log: string[] = [];
  const [broken, well] = await startMembers(
    {
      // A sandbox that waits for commands would still have the folder.
      pools: {
        pipeline: { maxChildren: 4, readOnly: [`${bound}:/bound`], warm: { command: 0 } },
      },
      log: (_, message) => log.push(message),
    },
    { pools: { pipeline: 1 } },
  );
  if (!broken || !well) throw new Error("expected two members");
  return {
    broken,
    well,
    log,
    takeAway: () => rmSync(bound, { recursive: true }),
    putBack: () => symlinkSync(folder, bound),
  };
}

describe.skipIf(!HAS_BUBBLEWRAP)("a child whose sandbox cannot be completed", () => {
  test("is refused by the member itself, and leaves nothing", async () => {
    const { broken, takeAway, log } = await open();
    takeAway();
    for (const path of ["/call", "/run", "/children"]) {
      const refused = await post(broken.url, path, { pool: "pipeline", ...TRUE });
      expect(refused.status).toBe(500);
      const problem = await problemOf(refused);
      expect(problem).toMatchObject({ code: "sandbox_unavailable", admitted: false });
      expect(problem.detail).not.toContain("dpool-bind-");
    }
    await idle(broken);
    expect(await getJson(`${broken.url}/children`)).toEqual({ children: [] });
    expect(log.join("\n")).toMatch(/could not start a child: bwrap: Can't find source path/);
  });

  test("runs on another member, in each form, by each gateway", async () => {
    const { broken, well, takeAway } = await open();
    takeAway();
    for (const { url } of [broken, well]) {
      const pools = new DistributedPool({ url }, { stdout: null, stderr: null });
      onTestFinished(() => pools.close());
      await pools.run("pipeline", TRUE);
      await idle(well);
      const placed = await pools.placeChild("pipeline", TRUE);
      expect(placed.id).toMatch(`${well.name}.`);
      await idle(well);
      const sum = await pools.call("pipeline", (a: number, b: number) => a + b, 1, 2);
      expect(sum).toBe(3);
      await idle(well);
    }
  });

  test("makes the member sick until the sandbox is whole again", async () => {
    const { broken, takeAway, putBack } = await open();
    takeAway();
    for (let index = 0; index < 3; index++)
      await post(broken.url, "/children", { pool: "pipeline", ...TRUE });
    const ready = () => getJson<{ status: string }>(`${broken.url}/readyz`);
    await until("the member to be sick", async () => (await ready()).status === "unavailable");
    putBack();
    await until("the member to be well", async () => (await ready()).status === "ok");
  });
});
