/** Runs each example as a user does: in a process of its own, against three members. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EmbeddedRegistry, type RunningMember, startMember } from "../../server/main.ts";
import { onPath } from "../helpers/programs.ts";

const EXAMPLE_TIMEOUT_MS = 30_000;

const hasSandbox = onPath("bwrap");
const missing = ["bwrap", "ffmpeg"].filter((program) => !onPath(program));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function example(file: string, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      [`examples/${file}`, ...args],
      { timeout: EXAMPLE_TIMEOUT_MS },
      (error, stdout, stderr) => {
        if (error?.killed)
          reject(
            new Error(`${file} did not end within ${EXAMPLE_TIMEOUT_MS} ms: ${stdout}${stderr}`),
          );
        else resolve({ code: child.exitCode, stdout, stderr });
      },
    );
  });
}

describe.skipIf(!hasSandbox)(
  `examples${hasSandbox ? "" : " (skipped: bwrap is not installed)"}`,
  () => {
    const members: RunningMember[] = [];
    let folder: string;

    /** The URL of a gateway outside `pipeline`, so that children run on other members. */
    let gateway: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "distributed-pool-examples-"));
      const registry = new EmbeddedRegistry();
      const served: [string, Record<string, number>][] = [
        ["gateway", { other: 1 }],
        ["m2", { pipeline: 2 }],
        ["m3", { pipeline: 2 }],
      ];
      const tasks = "examples/thumbnails/tasks";
      for (const [name, pools] of served)
        members.push(await startMember({ name, pools, port: 0, registry, tasks }));
      await Promise.all(members.map((member) => member.joined));
      gateway = (members[0] as RunningMember).url;
    });

    afterAll(async () => {
      await Promise.all(members.map((member) => member.stop()));
      await rm(folder, { recursive: true, force: true });
    });

    test("says foo", async () => {
      const { code, stdout, stderr } = await example("says-foo/says-foo.js", gateway);
      expect(stderr).toBe("");
      expect(stdout).toMatch(/^m[23] says foo is 1212\n$/);
      expect(code).toBe(0);
    });

    test("auto-terminating child: followed at another member after its caller left", async () => {
      const file = "auto-terminating-child/auto-terminating-child.js";
      const placed = await example(file, gateway);
      expect(placed.code).toBe(0);
      expect(placed.stdout).toMatch(/^m[23]\.[0-9a-f]{32}\n$/);
      const id = placed.stdout.trim();
      expect(placed.stderr).toContain(`dpool logs -f ${id} --url ${gateway}`);

      const owner = id.slice(0, 2);
      const another = members.find(
        ({ name }) => name !== owner && name !== "gateway",
      ) as RunningMember;
      const followed = await example(file, another.url, id);
      expect(followed.stdout).toBe(
        `${owner}: 3\n${owner}: 2\n${owner}: 1\n${owner}: done\nended by itself with exit code 0\n`,
      );
      expect(followed.code).toBe(0);
    });

    const skipped = missing.length > 0 ? ` (skipped: ${missing.join(" and ")} not installed)` : "";
    test.skipIf(missing.length > 0).each([
      ["a bundle", []],
      ["a task", ["--task"]],
    ])(`thumbnails by %s${skipped}`, async (name, options) => {
      const thumbnails = join(folder, name);
      const { code, stdout, stderr } = await example(
        "thumbnails/thumbnails.js",
        ...options,
        gateway,
        thumbnails,
      );
      expect(stderr).toBe("");
      expect(stdout).toMatch(/^m[23] made 10 thumbnails in /);
      expect(code).toBe(0);

      const files = (await readdir(thumbnails)).sort();
      expect(files).toEqual(
        Array.from({ length: 10 }, (_, index) => `${String(index + 1).padStart(2, "0")}.png`),
      );
      const images = await Promise.all(files.map((name) => readFile(join(thumbnails, name))));
      for (const image of images) {
        expect(image.toString("latin1", 0, 8)).toBe("\x89PNG\r\n\x1a\n");
        expect(image.toString("latin1", 12, 16)).toBe("IHDR");
        expect([image.readUInt32BE(16), image.readUInt32BE(20)]).toEqual([320, 180]);
        expect(image.toString("latin1", image.length - 8, image.length - 4)).toBe("IEND");
      }
      expect(new Set(images.map((image) => image.toString("base64"))).size).toBe(10);
    });
  },
);
