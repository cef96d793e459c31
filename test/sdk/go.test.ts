/** The Go SDK: its own tests, the program on its page, and its example, against real members. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EmbeddedRegistry, type RunningMember, startMember } from "../../server/main.ts";
import { onPath } from "../helpers/programs.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const SDK = join(ROOT, "sdk/go");
/** A first build compiles Go's own library too. */
const GO_TIMEOUT_MS = 180_000;

const missing = ["go", "bwrap", "ffmpeg"].filter((program) => !onPath(program));
const skipped = missing.length > 0 ? ` (skipped: ${missing.join(" and ")} not on PATH)` : "";

/** The output of a program of Go's. No build may download anything. */
function go(args: readonly string[], cwd = SDK): Promise<string> {
  const env = { ...process.env, GOFLAGS: "-mod=mod", GOPROXY: "off", GOWORK: "off" };
  return new Promise((resolve, reject) => {
    execFile("go", args, { cwd, env, timeout: GO_TIMEOUT_MS }, (error, stdout, stderr) => {
      if (error) reject(new Error(`go ${args.join(" ")}: ${error.message}\n${stdout}${stderr}`));
      else resolve(stdout);
    });
  });
}

describe.skipIf(missing.length > 0)(`the Go SDK${skipped}`, () => {
  const members: RunningMember[] = [];
  let folder: string;
  let url: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "distributed-pool-go-"));
    const registry = new EmbeddedRegistry();
    // 200 calls need not start 200 processes.
    const pools = { pipeline: { maxChildren: 2, reuse: true } };
    for (const name of ["m1", "m2"])
      members.push(await startMember({ name, pools, port: 0, registry }));
    await Promise.all(members.map((member) => member.joined));
    url = (members[0] as RunningMember).url;
  });

  afterAll(async () => {
    await Promise.all(members.map((member) => member.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  test("its sources are vetted, and its own tests pass", { timeout: GO_TIMEOUT_MS }, async () => {
    await go(["vet", "./..."]);
    await go(["test", "-vet=off", "./..."]);
  });

  test("a project of its own runs the program on the page", {
    timeout: GO_TIMEOUT_MS,
  }, async () => {
    const page = await readFile(join(SDK, "README.md"), "utf8");
    const [, program = ""] = /```go run\n(.*?)```/s.exec(page) ?? [];
    const [, output] = /```text output\n(.*?)```/s.exec(page) ?? [];
    await writeFile(join(folder, "main.go"), program.replace("http://127.0.0.1:7400", url));
    const module = "distributed-pool/sdk/go";
    await go(["mod", "init", "example.org/project"], folder);
    await go(["mod", "edit", `-require=${module}@v0.0.0`, `-replace=${module}=${SDK}`], folder);
    expect(await go(["run", "."], folder)).toBe(output);
  });

  test("the thumbnails of the film", { timeout: GO_TIMEOUT_MS }, async () => {
    const images = join(folder, "images");
    expect(await go(["run", "./examples/thumbnails", url, images])).toMatch(
      /^m[12] made 10 thumbnails in /,
    );
    const files = await readdir(images);
    expect(files).toHaveLength(10);
    const first = await readFile(join(images, "01.png"));
    expect([first.readUInt32BE(16), first.readUInt32BE(20)]).toEqual([320, 180]);
  });
});
