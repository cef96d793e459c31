/** `dpool run`, `dpool map` and `--output json` against real members. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { EmbeddedRegistry, type RunningMember, startMember } from "../../server/main.ts";
import { CLI, dpool } from "../helpers/command-line.ts";
import { until } from "../helpers/member.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { LEVEL, SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { Terminal, terminalMissing } from "../helpers/terminal.ts";
import { within } from "../helpers/wait.ts";

const WAIT_MS = 20_000;

const skipped = LEVEL === "none" ? " (skipped: there is no sandbox here)" : "";
describe.skipIf(skipped !== "")(`results as a whole${skipped}`, () => {
  let member: RunningMember;
  let pools: DistributedPool;
  beforeAll(async () => {
    const registry = new EmbeddedRegistry();
    const pipeline = { pipeline: 4 };
    member = await startMember({ pools: pipeline, port: 0, registry, sandbox: SANDBOX_OPTION });
    await member.joined;
    pools = new DistributedPool({ url: member.url });
  });
  afterAll(async () => {
    await pools.close();
    await member.stop();
  });
  const ask = (args: readonly string[], input = "") =>
    dpool(args, { input, env: { DPOOL_URL: member.url } });
  const mapped = (input: string, ...args: string[]) => ask(["map", "pipeline", ...args], input);
  const lines = (text: string) => text.trimEnd().split("\n");
  const json = (text: string) => lines(text).map((line) => JSON.parse(line));

  test("run prints the whole result of a command, and ends with its exit code", async () => {
    const command = ["--", "sh", "-c", "echo out; echo err >&2; exit 3"];
    expect(await ask(["run", "pipeline", ...command])).toEqual({
      code: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
    const ran = await ask(["run", "pipeline", "-o", "json", ...command]);
    expect(ran).toMatchObject({ code: 3, stderr: "" });
    expect(JSON.parse(ran.stdout)).toMatchObject({
      child: { pool: "pipeline", member: member.name },
      exitCode: 3,
      stdout: "out\n",
      stderr: "err\n",
      truncated: false,
    });
  });

  test("run prints the value of a function, and the problem of a child that failed", async () => {
    const sum = ["--function", "(a, b) => { console.log('hi'); return a + b }", "--args", "[1,2]"];
    expect(await ask(["run", "pipeline", ...sum])).toMatchObject({ code: 0, stdout: "hi\n3\n" });
    const ran = await ask(["run", "pipeline", "--output", "json", ...sum]);
    expect(JSON.parse(ran.stdout)).toMatchObject({ value: 3, stdout: "hi\n" });
    const killed = ["--", "sh", "-c", "echo half; kill -KILL $$"];
    const failed = await ask(["run", "pipeline", "-o", "json", ...killed]);
    expect(failed).toMatchObject({ code: 137, stdout: "" });
    expect(JSON.parse(failed.stderr)).toMatchObject({ code: "worker_crashed", stdout: "half\n" });
    const text = await ask(["run", "pipeline", ...killed]);
    expect(text).toMatchObject({ code: 137, stdout: "half\n" });
    expect(text.stderr).toMatch(/^dpool: worker_crashed: /);
  });

  test("map runs a command for each line, in order", async () => {
    const script = 'test "$1" != a || sleep 0.3; printf "<%s>" "$1"';
    expect(await mapped("a\nb b\nc\n", "--", "sh", "-c", script, "sh")).toEqual({
      code: 0,
      stdout: "<a><b b><c>",
      stderr: "",
    });
    const late = 'test "$1" != a || sleep 1; echo "$1"';
    const unordered = await mapped("a\nb\n", "--unordered", "--", "sh", "-c", late, "sh");
    expect(unordered).toEqual({ code: 0, stdout: "b\na\n", stderr: "" });
    expect(await mapped("one\ntwo", "-j", "1", "--", "echo", "{}:{}")).toMatchObject({
      stdout: "one:one\ntwo:two\n",
    });
    expect(await mapped("", "--", "echo")).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("map calls a function with each line, or with each JSON value", async () => {
    const inputs = Array.from({ length: 60 }, (_, index) => index);
    const text = inputs.map((each) => `${each}\n`).join("");
    const squares = await mapped(text, "--input", "json", "--function", "(n) => n * n");
    expect(lines(squares.stdout).map(Number)).toEqual(inputs.map((each) => each * each));
    expect(squares.code).toBe(0);
    expect(await mapped("1\n", "--function", "(text) => [text]")).toMatchObject({
      stdout: '["1"]\n',
    });
  });

  test("a failed input is told with its line, and the others go on", async () => {
    const script = 'echo "$1"; test "$1" != b || exit 7';
    const some = await mapped("a\nb\nc\n", "--", "sh", "-c", script, "sh");
    expect(some).toEqual({
      code: 1,
      stdout: "a\nb\nc\n",
      stderr: 'dpool: line 2, "b": exit code 7\ndpool: 1 of 3 inputs failed\n',
    });
    const source = "(n) => { if (n === 2) throw new RangeError('no two'); return n }";
    const ran = await mapped("1\n2\n[\n", "--input", "json", "--function", source);
    expect(ran).toMatchObject({ code: 1, stdout: "1\n" });
    expect(ran.stderr).toMatch(/^dpool: line 2, 2: function_threw: RangeError: no two$/m);
    expect(ran.stderr).toMatch(/^dpool: line 3, "\[": invalid_request: expected JSON in line 3: /m);
    const outcomes = await mapped("1\n2\n", "-o", "json", "--input", "json", "--function", source);
    expect(json(outcomes.stdout)).toMatchObject([
      { line: 1, input: 1, value: 1, stdout: "" },
      { line: 2, input: 2, problem: { code: "function_threw", error: { name: "RangeError" } } },
    ]);
    expect(outcomes.code).toBe(1);
  });

  test("--fail-fast stops at the first failure, also while more inputs may come", async () => {
    const args = ["map", "pipeline", "--fail-fast", "--url", member.url, "--", "sh", "-c"];
    const child = spawn(process.execPath, [CLI, ...args, "exit 7", "sh"], {
      env: cleanEnvironment(),
      stdio: ["pipe", "ignore", "pipe"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    child.stdin.write("a\n");
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const [code] = await within("the map to end", WAIT_MS, once(child, "close"));
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'dpool: line 1, "a": exit code 7\ndpool: 1 of 1 inputs failed\n',
    });
  });

  test("what has ended is printed, also behind an input that still runs", async () => {
    const script = '[ "$1" = slow ] && exec sleep 60; echo "$1"; test "$1" != bad';
    const args = ["map", "pipeline", "-j", "2", "--fail-fast", "--", "sh", "-c", script, "sh"];
    expect(await ask(args, "slow\ngood\nbad\nnever\n")).toMatchObject({
      code: 1,
      stdout: "good\nbad\n",
      stderr: 'dpool: line 3, "bad": exit code 1\ndpool: 1 of 2 inputs failed\n',
    });
  });

  test("a folder is no input", async () => {
    const ran = spawnSync(process.execPath, [CLI, "map", "pipeline", "--", "echo"], {
      stdio: [openSync("/tmp", "r"), "pipe", "pipe"],
      encoding: "utf8",
    });
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringContaining("got a folder")]);
  });

  test("a refusal that concerns every input ends the map", async () => {
    const ran = await ask(["map", "elsewhere", "--", "echo"], "a\nb\n");
    expect(ran.stderr).toMatch(/^dpool: pool_not_found: .*\ntry: dpool members lists the pools\n$/);
    expect(ran).toMatchObject({ code: 125, stdout: "" });
    const args = ["map", "pipeline", "--spec", '{"function":{"source":"a","args":[]}}'];
    const refused = await ask(args);
    expect(refused.stderr).toMatch(/^dpool: --spec: expected no args/);
    expect(refused.code).toBe(2);
  });

  test.skipIf(terminalMissing)("on a terminal, the count stands below the results", async () => {
    const typed = ["map", "pipeline", "--url", member.url, "--", "sh", "-c", "sleep 60", "sh"];
    const terminal = new Terminal([process.execPath, CLI, ...typed]);
    await terminal.shows("one input a line; Ctrl-D");
    terminal.type("a\r");
    const running = async () =>
      (await pools.children("pipeline", { status: "running" })).children.length;
    await until("a child to run", async () => (await running()) > 0);
    terminal.type("\x03");
    await terminal.shows("stopping all children");
    expect(await terminal.end()).toEqual({ code: 130, restored: true });
    await until("the child to end", async () => (await running()) === 0);
    const echo = ["map", "pipeline", "--url", member.url, "-j", "1", "--", "echo"];
    const counting = new Terminal([process.execPath, CLI, ...echo]);
    await counting.shows("Ctrl-D");
    counting.type("first\r");
    await counting.shows("1 done, 0 running");
    counting.type("\x04");
    expect(await counting.end()).toEqual({ code: 0, restored: true });
    expect(counting.output).toContain("first\r\n");
  });

  test("--output json, wherever something is printed", async () => {
    const placed = await ask([
      "place",
      "pipeline",
      "-o",
      "json",
      "--",
      "sh",
      "-c",
      "echo é; exit 3",
    ]);
    const { id } = JSON.parse(placed.stdout);
    const logs = await ask(["logs", "-f", "-o", "json", id]);
    expect(json(logs.stdout)).toMatchObject([
      { type: "placed", child: { id } },
      { type: "stdout", text: "é\n" },
      { type: "result", exitCode: 3 },
    ]);
    expect(logs).toMatchObject({ code: 3, stderr: "" });
    const called = await ask(["call", "pipeline", "-o", "json", "--function", "() => [1]"]);
    expect(json(called.stdout).at(-1)).toMatchObject({ type: "result", value: [1] });
    const ps = JSON.parse((await ask(["ps", "--output", "json"])).stdout);
    expect(ps.children.map((child: { id: string }) => child.id)).toContain(id);
    expect(ps.unreachable).toEqual([]);
    const members = JSON.parse((await ask(["members", "-o", "json"])).stdout);
    expect(members.pools).toMatchObject([{ pool: "pipeline", members: [{ url: member.url }] }]);
    const problem = await ask(["call", "elsewhere", "-o", "json", "--", "true"]);
    expect(problem).toMatchObject({ code: 125, stdout: "" });
    expect(JSON.parse(problem.stderr)).toMatchObject({
      code: "pool_not_found",
      hint: "dpool members lists the pools",
    });
    const token = JSON.parse((await ask(["token", "ann", "-o", "json"])).stdout);
    expect(token).toMatchObject({ name: "ann", token: expect.any(String) });
    expect(token.line).toContain("ann");
  });
});
