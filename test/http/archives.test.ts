/** Files with permissions, and archives of files: in a spec, in a part, by URL, and by --files. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { post, startMembers, startOne, within } from "../helpers/member.ts";

function tree(): string {
  const made = mkdtempSync(join(tmpdir(), "dpool-archives-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  const long = join(made, "project", "l".repeat(120));
  mkdirSync(long, { recursive: true });
  mkdirSync(join(made, "project", "empty"));
  writeFileSync(join(made, "project", "run"), "#!/bin/sh\necho ran\n");
  chmodSync(join(made, "project", "run"), 0o755);
  writeFileSync(join(long, "data"), "x".repeat(100_000));
  execFileSync("tar", ["-czf", join(made, "a.tgz"), "-C", join(made, "project"), "."]);
  return made;
}

/** Runs the program of the archive, and lists what is there. */
const LOOK = "./run && find . -mindepth 1 -printf '%m %s %P\\n' | cut -c 1-20 | sort";
const command = ["sh", "-c", LOOK];
const seen = (text: string) => text.split("\n");
const KNOWN = [
  "ran",
  expect.stringMatching(/^644 100000 l+/),
  expect.stringMatching(/^755 19 run/),
];

async function ran(answer: Response) {
  const body = (await answer.json()) as { stdout?: string; detail?: string };
  return body.detail ?? body.stdout;
}

test("a file's permissions: in the spec, and in the type of a part", async () => {
  const [, gateway] = await startMembers({ pools: { pipeline: 2 } }, { pools: { other: 1 } });
  const form = new FormData();
  const files = { a: { text: "1", mode: "755" }, b: { base64: "MQ==", mode: "0600" }, c: "1" };
  form.set(
    "spec",
    JSON.stringify({ command: ["stat", "-c", "%a", "a", "b", "c", "d", "e"], files }),
  );
  form.set("d", new Blob(["1"], { type: "application/octet-stream;mode=700" }));
  form.set("e", new Blob(["1"]));
  const url = `${gateway?.url}/pools/pipeline/run`;
  const answer = await within("the answer", fetch(url, { method: "POST", body: form }));
  expect(await ran(answer)).toBe("755\n600\n644\n700\n644\n");
  for (const mode of ["4755", "rwx", "", "8"]) {
    const refused = await post(gateway?.url ?? "", "/pools/pipeline/run", {
      command: ["true"],
      files: { a: { text: "1", mode } },
    });
    expect(await ran(refused)).toContain('three octal digits in a string, such as "755"');
  }
});

test("an archive in the spec, small and large, and in a part", async () => {
  const { url } = await startOne();
  const made = tree();
  const base64 = readFileSync(join(made, "a.tgz")).toString("base64");
  const inSpec = await post(url, "/run", { pool: "pipeline", command, archive: { base64 } });
  expect(seen((await ran(inSpec)) ?? "")).toEqual(expect.arrayContaining(KNOWN));
  execFileSync("tar", ["-cf", join(made, "a.tar"), "-C", join(made, "project"), "."]);
  const large = readFileSync(join(made, "a.tar")).toString("base64");
  const lifted = await post(url, "/run", { pool: "pipeline", command, archive: { base64: large } });
  expect(seen((await ran(lifted)) ?? "")).toEqual(expect.arrayContaining(KNOWN));
  const form = new FormData();
  form.set("spec", JSON.stringify({ pool: "pipeline", command }));
  form.set("archive", new Blob([readFileSync(join(made, "a.tgz"))]), "project.tar.gz");
  const part = await within("the answer", fetch(`${url}/run`, { method: "POST", body: form }));
  expect(seen((await ran(part)) ?? "")).toEqual(expect.arrayContaining(KNOWN));
});

test("an archive by URL, under the rules for URLs", async () => {
  const made = tree();
  const server = createServer((_, answer) => answer.end(readFileSync(join(made, "a.tgz"))));
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  onTestFinished(() => void server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const pool = { maxChildren: 1, fetch: [origin], fetchAddresses: ["127.0.0.0/8"] };
  const { url } = await startOne({ pools: { pipeline: pool, closed: 1 } });
  const archive = { url: `${origin}a.tgz` };
  const fetched = await post(url, "/run", { pool: "pipeline", command, archive });
  expect(seen((await ran(fetched)) ?? "")).toEqual(expect.arrayContaining(KNOWN));
  const closed = await post(url, "/run", { pool: "closed", command, archive });
  expect(closed.status).toBe(403);
});

test("a bad archive ends the child before its program starts", async () => {
  const { url } = await startOne();
  for (const base64 of ["", "AAAA", Buffer.from("PK\x03\x04").toString("base64")]) {
    const answer = await post(url, "/run", { pool: "pipeline", command, archive: { base64 } });
    expect(answer.status).toBe(400);
    expect(await ran(answer)).toContain("/archive: expected a tar archive, plain or in gzip, or");
  }
});

test("the SDK sends a folder, an archive and executable files", async () => {
  const { url } = await startOne();
  const made = tree();
  await using pool = new DistributedPool({ url });
  for (const archive of [
    { path: join(made, "project") },
    { path: join(made, "a.tgz") },
    readFileSync(join(made, "a.tgz")),
  ]) {
    const { stdout } = await pool.run("pipeline", { command, archive });
    expect(seen(String(stdout))).toEqual(expect.arrayContaining(KNOWN));
    expect(String(stdout)).toContain("0 empty");
  }
  const files = {
    run: { path: join(made, "project", "run") },
    made: { content: Buffer.from("1"), mode: "700" },
  };
  const { stdout } = await pool.run("pipeline", {
    command: ["stat", "-c", "%a", "run", "made"],
    files,
  });
  expect(String(stdout)).toBe("755\n700\n");
});

test("too many files: the refusal has the numbers, and names the archive", async () => {
  const { url } = await startOne();
  const files = Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`f${index}`, ""]));
  const spec = { pool: "pipeline", command: ["true"] };
  const told = "expected at most 1000 files; got 1001; an archive may have 20000 files and folders";
  expect(await ran(await post(url, "/run", { ...spec, files }))).toContain(told);
});

test("variables may have any name that Linux takes", async () => {
  const { url } = await startOne();
  const env = {
    "npm_config_a-b": "1",
    "spring.profiles.active": "two words",
    "it's $HOME": "$(id)",
    é: "é",
    PLAIN: "x",
  };
  const shown = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  for (const more of [{}, { files: { a: "1" } }, { artifacts: ["a"] }]) {
    const answer = await post(url, "/run", { pool: "pipeline", command: ["env"], env, ...more });
    const lines = (await ran(answer))?.split("\n") ?? [];
    expect(lines).toEqual(expect.arrayContaining(shown));
    expect(lines.filter((line) => line.startsWith("POOL_ENV"))).toEqual([]);
  }
  const source = "() => process.env['spring.profiles.active']";
  const fn = await post(url, "/run", { pool: "pipeline", function: { source }, env });
  expect(await fn.json()).toMatchObject({ value: "two words" });
  for (const name of ["", "a=b", "a\0b"]) {
    const refused = await post(url, "/run", {
      pool: "pipeline",
      command: ["true"],
      env: { [name]: "1" },
    });
    expect(refused.status).toBe(400);
  }
});
