/** The Java SDK: its checks, the program on its page, and its example, against real members. */
import { execFile } from "node:child_process";
import { existsSync, globSync, statSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ERRORS } from "../../openapi/errors.ts";
import { EmbeddedRegistry, type RunningMember, startMember } from "../../server/main.ts";
import { onPath } from "../helpers/programs.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const SDK = join(ROOT, "sdk/java");
/** A first build downloads the plugins of Maven. */
const BUILD_MS = 180_000;
const PROGRAM_MS = 50_000;

const missing = ["javac", "mvn", "ffmpeg"].filter((program) => !onPath(program));
const skipped = missing.length > 0 ? ` (skipped: ${missing.join(" and ")} not on PATH)` : "";

function output(program: string, args: readonly string[], timeout: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd: ROOT, timeout }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program}: ${error.message}\n${stdout}${stderr}`));
      else resolve(stdout);
    });
  });
}

/** Whether the package was built from the sources as they are. */
function isBuilt(): boolean {
  const jars = globSync(`${SDK}/target/*.jar`).filter((jar) => jar.includes("-sdk-"));
  if (!jars[0] || !existsSync(`${SDK}/target/lib`)) return false;
  const builtAt = statSync(jars[0]).mtimeMs;
  const sources = [`${SDK}/pom.xml`, ...globSync(`${SDK}/src/**/*.java`)];
  return sources.every((source) => statSync(source).mtimeMs < builtAt);
}

const classes = ["classes", "test-classes", "lib/*"].map((part) => `${SDK}/target/${part}`);

/** Runs a class, or a source file, with the SDK on its class path. */
function java(args: readonly string[]): Promise<string> {
  const options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classes.join(":")];
  return output("java", [...options, ...args], PROGRAM_MS);
}

test("the Java SDK knows the codes of the contract, with their statuses", async () => {
  const file = `${SDK}/src/main/java/distributedpool/internal/http/Codes.java`;
  const entries = (await readFile(file, "utf8")).matchAll(/Map\.entry\("(\w+)", (\d+)\)/g);
  const known = Object.fromEntries([...entries].map(([, code, status]) => [code, Number(status)]));
  const codes = Object.entries(ERRORS).map(([code, { status }]) => [code, status]);
  expect(known).toEqual(Object.fromEntries(codes));
});

describe.skipIf(missing.length > 0)(`the Java SDK${skipped}`, () => {
  const members: RunningMember[] = [];
  let folder: string;
  let url: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "distributed-pool-java-"));
    const build = ["-q", "-B", "-f", `${SDK}/pom.xml`, "package"];
    if (!isBuilt()) await output("mvn", build, BUILD_MS);
    const registry = new EmbeddedRegistry();
    const pools = { pipeline: 3 };
    for (const name of ["m1", "m2"])
      members.push(await startMember({ name, pools, port: 0, registry, sandbox: SANDBOX_OPTION }));
    await Promise.all(members.map((member) => member.joined));
    url = (members[0] as RunningMember).url;
  }, BUILD_MS);

  afterAll(async () => {
    await Promise.all(members.map((member) => member.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  test("its own checks pass", async () => {
    const lines = (await java(["Checks", url])).trim().split("\n");
    expect(lines.filter((line) => !line.startsWith("ok "))).toEqual([]);
    expect(lines).toHaveLength(19);
  });

  test("a project of its own runs the program on the page", async () => {
    const page = await readFile(join(SDK, "README.md"), "utf8");
    const [, program = ""] = /```java run\n(.*?)```/s.exec(page) ?? [];
    const [, expected] = /```text output\n(.*?)```/s.exec(page) ?? [];
    const file = join(folder, "First.java");
    await writeFile(file, program.replace("http://127.0.0.1:7400", url));
    expect(await java([file])).toBe(expected);
  });

  test("the thumbnails of the film", async () => {
    const images = join(folder, "images");
    const film = join(ROOT, "examples/thumbnails/birds.mp4");
    const program = join(SDK, "examples/Thumbnails.java");
    expect(await java([program, url, film, images])).toMatch(/^m[12] made 10 thumbnails in /);
    expect(await readdir(images)).toHaveLength(10);
    const first = await readFile(join(images, "01.png"));
    expect([first.readUInt32BE(16), first.readUInt32BE(20)]).toEqual([320, 180]);
  });
});
