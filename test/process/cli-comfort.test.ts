/** What makes the command line easy to use: hints, suggestions, beginnings of ids, widths. */

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { EmbeddedRegistry, type RunningMember, startMember } from "../../server/main.ts";
import { CLI, dpool } from "../helpers/command-line.ts";
import { LEVEL, SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { Terminal, terminalMissing } from "../helpers/terminal.ts";

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as { port: number }).port };
}

describe("mistakes", () => {
  test.each([
    [["cal", "pipeline"], /expected a command; got "cal"; did you mean dpool call\?$/m],
    [["ps", "--lable", "a"], /Unknown option '--lable'; did you mean --label\?; see dpool ps/],
    [["call", "a", "--json", "{}"], /--output json prints JSON, --spec takes a child spec; see/],
    [["ps", "--json"], /Unknown option '--json'; --output json prints JSON; see dpool ps --help/],
    [["ps", "--output", "xml"], /--output: expected text or json; got "xml"/],
    [["completion", "tcsh"], /expected one of bash, zsh, fish; got tcsh/],
    [["signal", "m1", "nope"], /expected one of SIGHUP, .*; got nope/],
    [["call", "a", "--runtime", "python", "--", "b"], /--runtime: expected --function beside it/],
  ])("%j", async (args, message) => {
    const ran = await dpool(args);
    expect(ran.stderr).toMatch(message);
    expect(ran).toMatchObject({ code: 2, stdout: "" });
  });

  test("ui prints its URL as JSON too", async () => {
    const { stdout } = await dpool(["ui", "--url", "127.0.0.1:1", "--output", "json"]);
    expect(JSON.parse(stdout)).toEqual({ url: "http://127.0.0.1:1/" });
  });

  test("where nothing listens, or another program does, it says how to go on", async () => {
    const { server, port } = await listening();
    const taken = await dpool(["dev", "--port", String(port)]);
    server.close();
    expect(taken.stderr).toMatch(
      /is taken by process \d+ \(\S+\); choose another: .*dpool dev --port \d+\n$/,
    );
    expect(taken.code).toBe(2);
    const nobody = await dpool(["ps", "--url", `127.0.0.1:${port}`]);
    expect(nobody.stderr).toMatch(/ECONNREFUSED.*\ntry: dpool dev starts members/);
    expect(nobody.code).toBe(125);
  });

  const old = ["/usr/bin/node", "/usr/local/bin/node"].find((path) => {
    const isOld = (version: string) => /^v(1\d|20|21)\./.test(version);
    return existsSync(path) && isOld(execFileSync(path, ["--version"], { encoding: "utf8" }));
  });
  test.skipIf(!old)("a Node that is too old gets one line", async () => {
    const ran = await dpool(["--help"], { node: old as string });
    expect(ran.stderr).toMatch(/^dpool: expected Node 22\.18 or newer; got \d+\.\d+\.\d+, .*\n$/);
    expect(ran).toMatchObject({ code: 2, stdout: "" });
  });
});

const skipped = LEVEL === "none" ? " (skipped: there is no sandbox here)" : "";
describe.skipIf(skipped !== "")(`against a member${skipped}`, () => {
  let member: RunningMember;
  let pools: DistributedPool;
  beforeAll(async () => {
    const one = { pools: { pipeline: 2 }, port: 0, registry: new EmbeddedRegistry() };
    member = await startMember({ ...one, name: "m1", sandbox: SANDBOX_OPTION });
    await member.joined;
    pools = new DistributedPool({ url: member.url });
  });
  afterAll(async () => {
    await pools.close();
    await member.stop();
  });
  const ask = (...args: string[]) => dpool(args, { env: { DPOOL_URL: member.url } });
  async function placed(...command: string[]) {
    const child = await pools.placeChild("pipeline", { command });
    onTestFinished(async () => {
      await child.stop();
      await child.exit.catch(() => {});
    });
    return child;
  }

  test("--url takes HOST:PORT", async () => {
    const { host } = new URL(member.url);
    expect(await dpool(["ps", "--url", host])).toMatchObject({ code: 0, stderr: "" });
    expect(await dpool(["ps"], { env: { DPOOL_URL: host } })).toMatchObject({ code: 0 });
  });

  test("a pool that is mistyped, and one that is full", async () => {
    const unknown = await ask("call", "piepline", "--", "true");
    expect(unknown.stderr).toMatch(/^dpool: pool_not_found: .*\ntry: did you mean pipeline\?\n$/);
    await placed("sleep", "60");
    await placed("sleep", "60");
    const full = await ask("call", "pipeline", "--", "true");
    expect(full.stderr).toMatch(/^dpool: all_members_at_capacity: .*\ntry: --wait-ms/);
    expect(full.code).toBe(125);
  });

  test("each command takes the beginning of an id", async () => {
    const script = "trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done";
    const child = await placed("sh", "-c", script);
    const other = await placed("sleep", "60");
    for await (const event of child.events()) if (event.type === "stdout") break;
    const begin = child.id.slice("m1.".length, -20);
    expect(await ask("signal", begin, "usr1")).toMatchObject({ code: 0, stderr: "" });
    for await (const event of child.events())
      if (event.type === "stdout" && event.text?.includes("usr1")) break;
    expect((await ask("logs", `m1.${begin}`)).stdout).toBe("up\nusr1\n");
    const ambiguous = await ask("logs", "m1");
    expect(ambiguous.stderr).toContain(
      "expected the beginning of one id; got m1, which is that of",
    );
    expect(ambiguous.stderr).toContain(other.id);
    expect(ambiguous.code).toBe(2);
    const none = await ask("stop", "m1.nothing");
    expect(none.stderr).toMatch(/^dpool: child_not_found: .*\ntry: dpool ps lists the children\n$/);
    expect(none.code).toBe(125);
    expect(await ask("stop", begin, "--grace-ms", "0")).toMatchObject({ code: 0, stderr: "" });
    expect((await child.info()).status).toBe("ended");
  });

  test("a child that is not linked goes on, and the message names the member to ask", async () => {
    const typed = ["call", "pipeline", "--no-link", "--url", member.url, "--"];
    const terminal = new Terminal([
      process.execPath,
      CLI,
      ...typed,
      "sh",
      "-c",
      "echo up; sleep 60",
    ]);
    await terminal.shows("up");
    terminal.type("\x03");
    expect(await terminal.end()).toEqual({ code: 130, restored: true });
    const text = terminal.output.replaceAll("\r\n", "");
    const [, id = ""] =
      /child (\S+) goes on; dpool logs -f \1 --url http\S+ shows it, dpool stop \1 --url/.exec(
        text,
      ) ?? [];
    expect(await ask("stop", id)).toMatchObject({ code: 0 });
  });

  test.skipIf(terminalMissing)("tables and help are as wide as the terminal", async () => {
    await placed("sleep", "60");
    for (const args of [["ps", "--url", member.url], ["call", "--help"], ["--help"]]) {
      const terminal = new Terminal([process.execPath, CLI, ...args], { columns: 72 });
      await terminal.end();
      const lines = terminal.output.split("\r\n");
      expect(lines.length).toBeGreaterThan(1);
      expect(lines.filter((line) => line.length > 72)).toEqual([]);
    }
  });
});
