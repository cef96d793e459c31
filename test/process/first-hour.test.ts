/** The first hour of a newcomer: Ctrl-C, a port that is taken, an old Node. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { CLI, dpool } from "../helpers/command-line.ts";
import { startOne } from "../helpers/member.ts";
import { LEVEL, SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { Terminal, terminalMissing } from "../helpers/terminal.ts";
import { eventually } from "../helpers/wait.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const START = ["npm", "start", "--silent", "--", "--members", "1", "--port", "0"];
const DEV = [process.execPath, CLI, "dev", "--members", "1", "--port", "0"];
const CTRL_C = "\x03";
const ENDS_MS = 20_000;

const ran = (program: string, args: readonly string[]) =>
  promisify(execFile)(program, args, { cwd: ROOT, timeout: ENDS_MS });

const missing = terminalMissing ?? (LEVEL === "none" ? "there is no sandbox here" : undefined);
const reason = missing === undefined ? "" : ` (skipped: ${missing})`;

/** Serves in a terminal, and places a child that runs until its input ends. */
async function serving(command: readonly string[]) {
  const terminal = new Terminal(command, { env: { DPOOL_SANDBOX: SANDBOX_OPTION } });
  await terminal.shows(/ready \S+ member m1 pools pipeline=5/);
  const [, url = ""] = /ready (\S+)/.exec(terminal.output) ?? [];
  if (command === START) await terminal.shows("Stop: Ctrl-C");
  const placed = await fetch(`${url}/children`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ pool: "pipeline", command: ["sh", "-c", "read line; echo got $line"] }),
  });
  return { terminal, child: ((await placed.json()) as { url: string }).url };
}

describe.skipIf(missing !== undefined)(`Ctrl-C${reason}`, () => {
  test.each([
    ["npm start", START],
    ["dpool dev", DEV],
  ])(
    "at %s waits for the child that runs, and ends well",
    async (_, command) => {
      const { terminal, child } = await serving(command);
      terminal.type(CTRL_C);
      await terminal.shows("SIGINT: drains; Ctrl-C again ends at once");
      await terminal.shows("m1 drains: 1 child runs, for 30 seconds at most");
      // The child has outlived the signal, and goes on.
      const events = await fetch(`${child}/events`);
      await fetch(`${child}/stdin?end=true`, { method: "POST", body: "the line\n" });
      expect(await events.text()).toContain("got the line");
      expect(await terminal.end()).toEqual({ code: 0, restored: true });
    },
    60_000,
  );

  test("once more kills what runs, and says so", async () => {
    const { terminal } = await serving(DEV);
    const said = "SIGINT again: ends at once, and kills the children that run";
    await eventually(
      "the second Ctrl-C to count",
      async () => {
        terminal.type(CTRL_C);
        expect(terminal.output).toContain(said);
      },
      ENDS_MS,
    );
    expect((await terminal.end()).code).toBe(1);
  }, 60_000);
});

test("a taken port gets one line: by whom, and a command with another port", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const by = process.platform === "linux" ? `process ${process.pid} \\(.+\\)` : "another program";
  const other = port + 10 > 65_535 ? 0 : port + 10;
  const lastLine = async (npm_lifecycle_event: string, npm_command: string) => {
    const env = { npm_lifecycle_event, npm_command, DPOOL_SANDBOX: "off" };
    const taken = await dpool(["dev", "--port", String(port)], { env });
    expect(taken).toMatchObject({ code: 2, stdout: "" });
    return taken.stderr.trimEnd().split("\n").at(-1);
  };
  const start = `^dpool: port ${port} of 127\\.0\\.0\\.1 is taken by ${by}; choose another:`;
  const [alone, byNpx, byNpm] = await Promise.all([
    lastLine("", ""),
    lastLine("npx", "exec"),
    lastLine("start", "start"),
  ]);
  expect(alone).toMatch(RegExp(`${start} dpool dev --port ${other}$`));
  expect(byNpx).toMatch(RegExp(`${start} npx dpool dev --port ${other}$`));
  expect(byNpm).toMatch(RegExp(`${start} npm start -- --port ${other}$`));
});

test("npm start builds nothing under another one that runs from dist", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dpool-first-hour-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "dist/running"), { recursive: true });
  cpSync(join(ROOT, ".dev/setup.sh"), join(folder, ".dev/setup.sh"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const running = spawn("sleep", ["600"], { cwd: folder });
  onTestFinished(() => void running.kill());
  await once(running, "spawn");
  writeFileSync(join(folder, `dist/running/${running.pid}`), "");
  const { stderr } = await ran("sh", [join(folder, ".dev/setup.sh"), "run"]);
  expect(stderr).toContain(`setup: npm start, process ${running.pid}, runs from dist`);
  expect(stderr).toContain("setup: not building");
});

const old = ["/usr/bin/node", "/usr/local/bin/node"].find(
  (path) => existsSync(path) && /^v20\./.test(execFileSync(path, ["--version"]).toString()),
);
const skipped = old && LEVEL !== "none" ? "" : " (skipped: there is no Node 20, or no sandbox)";

test.skipIf(skipped !== "")(`Node 20 runs an example${skipped}`, async () => {
  const { url } = await startOne();
  const { stdout, stderr } = await ran(old as string, ["examples/says-foo/says-foo.js", url]);
  expect(stderr).toBe("");
  expect(stdout).toBe("m1 says foo is 1212\n");
});
