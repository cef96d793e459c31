/** `dpool init`: files that `serve` takes, and never over others. */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { dpool } from "../helpers/command-line.ts";
import { startOne } from "../helpers/member.ts";

const folder = mkdtempSync(join(tmpdir(), "dpool-init-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

test("a configuration with two pools and tokens", async () => {
  const config = at("member.yaml");
  const tokens = at("tokens");
  const flags = ["--pool", "render=4", "--pool", "gpu=1", "--consul", "http://127.0.0.1:8501"];
  const args = ["init", ...flags, "--out", config, "--tokens", tokens];
  const { code, stdout, stderr } = await dpool([...args, "--output", "json"]);
  expect([code, stderr]).toEqual([0, ""]);
  const { token, next } = JSON.parse(stdout) as { token: string; next: string[] };
  expect(next).toEqual([`dpool doctor --config ${config}`, `dpool serve --config ${config}`]);
  expect([modeOf(config), modeOf(tokens)]).toEqual(["644", "600"]);
  expect(readFileSync(tokens, "utf8")).not.toContain(token);

  const checked = await dpool(["check-config", config, "--output", "json"]);
  expect(checked.code, checked.stdout).toBe(0);
  const { pools, consul, tokenFile } = JSON.parse(checked.stdout);
  expect([Object.keys(pools), pools.render.maxChildren, consul, tokenFile]).toEqual([
    ["render", "gpu"],
    4,
    "http://127.0.0.1:8501",
    tokens,
  ]);

  const member = await startOne({ tokenFile: tokens });
  const asked = await dpool(["members", "--url", member.url], { env: { DPOOL_TOKEN: token } });
  expect([asked.code, asked.stderr]).toEqual([0, ""]);

  const before = readFileSync(config, "utf8");
  rmSync(tokens);
  const again = await dpool(args);
  expect([again.code, again.stderr]).toEqual([
    2,
    `dpool: ${config} is there already; --force replaces it\n`,
  ]);
  expect(() => statSync(tokens)).toThrow("ENOENT");
  expect((await dpool(["init", "--out", config, "--force"])).code).toBe(0);
  expect(readFileSync(config, "utf8")).not.toBe(before);
});

test.each([
  [["--pool", "a b=1"]],
  [["--pool", "x=3", "--pool", "x=4"]],
  [["--consul", "not a url"]],
])("%j is refused, and nothing is written", async (args) => {
  const { code, stderr } = await dpool(["init", ...args, "--out", at("no.yaml")]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^dpool: .*expected .*; got /);
  expect(() => statSync(at("no.yaml"))).toThrow("ENOENT");
});
