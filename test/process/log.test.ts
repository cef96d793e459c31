/** The log and the audit of `dpool dev`, with the built command line as a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { newToken } from "../../server/access/tokens.ts";
import { getJson, post, until, within } from "../helpers/member.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), "dpool-log-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Line {
  readonly [key: string]: unknown;
}
const linesOf = (text: string) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);

/** Starts `dpool dev` with one member. Its stderr is a pipe, so its log is JSON. */
async function startDev(...args: string[]) {
  const dev = spawn(process.execPath, [CLI, "dev", "--members", "1", "--port", "0", ...args], {
    env: { ...cleanEnvironment(), DPOOL_LOG_FORMAT: "auto", DPOOL_SANDBOX: SANDBOX_OPTION },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void dev.kill("SIGKILL"));
  let [out, log] = ["", ""];
  dev.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  dev.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  await until("the ready line", () => /^ready \S+ member m1/m.test(out));
  const url = /^ready (\S+)/m.exec(out)?.[1] ?? "";
  return { dev, url, log: () => linesOf(log.slice(0, log.lastIndexOf("\n") + 1)) };
}

const children = (lines: Line[]) => lines.filter(({ msg }) => /^child /.test(String(msg)));
const SECRET = "hunter2";
const COMMAND = { pool: "pipeline", command: ["sh", "-c", `echo ${SECRET}; exit 3`] };

test("a child has a line for its start and one for its end, without its arguments", async () => {
  const folder = folderOf();
  const config = join(folder, "dpool.yaml");
  writeFileSync(config, "logLevel: info\n");
  const { dev, url, log } = await startDev("--config", config);
  await (await post(url, "/run", COMMAND)).text();
  writeFileSync(config, "logLevel: debug\n");
  dev.kill("SIGHUP");
  await until("the reload", () => log().some(({ msg }) => msg === "SIGHUP: changed: logLevel"));
  await (await post(url, "/run", COMMAND)).text();
  await until("both lines", () => children(log()).length === 2);
  const [start, end] = children(log());
  const common = { level: "debug", pool: "pipeline", caller: "anyone", kind: "command" };
  expect(start).toMatchObject({ ...common, msg: "child started", ms: expect.any(Number) });
  expect(end).toMatchObject({
    ...common,
    msg: "child ended",
    id: start?.id,
    exitCode: 3,
    code: null,
  });
  expect(JSON.stringify(log())).not.toContain(SECRET);
});

test("arguments are shown where they are asked for", async () => {
  const { url, log } = await startDev("--log-level", "debug", "--log-commands");
  await (await post(url, "/run", COMMAND)).text();
  await until("both lines", () => children(log()).length === 2);
  expect(children(log())[0]).toMatchObject({ command: COMMAND.command });
});

test("the audit tells who did what, and its file is opened again", async () => {
  const folder = folderOf();
  const file = join(folder, "audit.log");
  const ci = newToken("ci", ["call"], ["pipeline"]);
  writeFileSync(join(folder, "tokens"), `${ci.line}\n`, { mode: 0o600 });
  const { dev, url } = await startDev("--token-file", join(folder, "tokens"), "--audit-file", file);
  const authorization = `Bearer ${ci.token}`;
  const sleep = { pool: "pipeline", command: ["sleep", "60", SECRET], env: { KEY: SECRET } };
  const placed = await post(url, "/children", sleep, { authorization });
  const { id } = (await placed.json()) as { id: string };
  await post(url, `/children/${id}/signal`, { signal: "SIGUSR1" }, { authorization });
  await post(url, `/pools/pipeline/pipe?command=echo&command=${SECRET}`, "", { authorization });
  await post(url, "/drain", undefined, { authorization });
  await post(url, "/call", sleep, { authorization: "Bearer wrong" });
  await fetch(`${url}/pools`, { headers: { authorization } });
  const lines = () => linesOf(readFileSync(file, "utf8"));
  await until("the lines", () => lines().length === 5);
  const common = { audit: true, member: "m1", caller: "ci", address: "127.0.0.1", method: "POST" };
  expect(lines()).toMatchObject([
    { ...common, path: "/children", status: 201, child: id },
    { ...common, path: `/children/${id}/signal`, status: 202, signal: "SIGUSR1" },
    { ...common, path: "/pools/pipeline/pipe", status: 200, code: null },
    { ...common, path: "/drain", status: 403, code: "forbidden" },
    { ...common, caller: null, path: "/call", status: 401, code: "unauthorized" },
  ]);
  expect(readFileSync(file, "utf8")).not.toMatch(`${SECRET}|${ci.token}`);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  renameSync(file, `${file}.1`);
  dev.kill("SIGHUP");
  await until("a new file", () => {
    try {
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
  await fetch(`${url}/children/${id}`, { method: "DELETE", headers: { authorization } });
  await until("a line in the new file", () => lines().length === 1);
  expect(lines()).toMatchObject([{ method: "DELETE", path: `/children/${id}`, status: 202 }]);
});

test("a member serves on while nobody reads its log, and ends", async () => {
  const { dev, url } = await startDev("--log-level", "debug", "--drain-ms", "0");
  dev.stderr.pause();
  // Each refusal of a name that is not text is logged; the children's lines fill the pipe.
  for (let round = 0; round < 20; round++)
    await Promise.all(
      Array.from({ length: 5 }, async () => (await post(url, "/run", COMMAND)).text()),
    );
  expect(await getJson(`${url}/livez`)).toMatchObject({ status: "ok" });
  const ended = once(dev, "exit");
  dev.kill("SIGTERM");
  expect(await within("the end", ended)).toEqual([0, null]);
});

test("an audit file that cannot be opened keeps a member from starting", async () => {
  const dev = spawn(process.execPath, [CLI, "dev", "--port", "0", "--audit-file", "/dev/null"], {
    env: cleanEnvironment(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  dev.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  expect(await within("the end", once(dev, "close"))).toEqual([2, null]);
  expect(said).toBe("dpool: --audit-file: expected a regular file; got /dev/null\n");
});
