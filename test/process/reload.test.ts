/** SIGHUP and `dpool check-config`, with the built command line as a process of its own. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Count } from "../../openapi/schemas/resources.ts";
import {
  callEvents,
  getJson,
  lastOf,
  post,
  problemOf,
  streamOf,
  until,
} from "../helpers/member.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { onPath } from "../helpers/programs.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { within } from "../helpers/wait.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "dist/cli.js");
const WAIT_MS = 30_000;

const UNLESS_SCRIPT = onPath("script") ? "" : " (skipped: script is not installed)";

const ENVIRONMENT = { ...cleanEnvironment(), DPOOL_SANDBOX: SANDBOX_OPTION };

let folder: string;
let file: string;
const started: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "distributed-pool-config-"));
  file = join(folder, "pool.yaml");
});

afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

class Process {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  #text = "";
  /** The next match begins here, so that each one is found once. */
  #seen = 0;
  #told = () => {};

  constructor(program: string, args: readonly string[]) {
    this.child = spawn(program, args, {
      cwd: ROOT,
      env: ENVIRONMENT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    started.push(this.child);
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#text += text;
        this.#told();
      });
    this.exited = once(this.child, "exit").then(([code]) => code as number | null);
  }

  /** Resolves with the next match in what it prints and logs. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const found = async () => {
      for (;;) {
        const match = pattern.exec(this.#text.slice(this.#seen));
        if (match) {
          this.#seen += match.index + match[0].length;
          return match;
        }
        await new Promise<void>((resolve) => {
          this.#told = resolve;
        });
      }
    };
    return within(`${pattern}`, WAIT_MS, found()).catch((error: Error) => {
      throw new Error(`${error.message}; it said:\n${this.#text}`);
    });
  }

  get text(): string {
    return this.#text;
  }

  hangUp(): void {
    this.child.kill("SIGHUP");
  }
}

/** Starts `dpool dev` with one member. */
async function startDev(...args: string[]): Promise<{ dev: Process; url: string }> {
  const dev = new Process(process.execPath, [CLI, "dev", "--members", "1", "--port", "0", ...args]);
  const [, url = ""] = await dev.says(/ready (\S+) member m1 pools \S+\n/);
  return { dev, url };
}

const maxOf = async (url: string) =>
  (await getJson<Count>(`${url}/children/count`)).pools.pipeline?.max;

describe("SIGHUP", () => {
  test("reads the file again: more children at once, then fewer, and none is ended", async () => {
    writeFileSync(file, "pools:\n  pipeline: 1\n");
    const { dev, url } = await startDev("--config", file);
    const controller = new AbortController();
    const held = await post(
      url,
      "/pools/pipeline/call",
      { command: ["sleep", "60"], link: true },
      {},
      controller.signal,
    );
    const events = streamOf(held);
    expect((await within("placed", WAIT_MS, events.next())).value).toMatchObject({
      type: "placed",
    });

    const waiting = callEvents(url, "/pools/pipeline/call", { command: ["true"], waitMs: 60_000 });
    writeFileSync(file, "graceMs: 100\npools:\n  pipeline: 2\n");
    dev.hangUp();
    await dev.says(/info SIGHUP: changed: graceMs, pools\.pipeline\.maxChildren\n/);
    lastOf(await waiting, "result");

    writeFileSync(file, "graceMs: 100\npools:\n  pipeline: 1\n");
    dev.hangUp();
    await dev.says(/info SIGHUP: changed: pools\.pipeline\.maxChildren\n/);
    expect(await getJson(`${url}/children/count`)).toMatchObject({
      pools: { pipeline: { active: 1, max: 1 } },
    });
    expect(
      await problemOf(await post(url, "/call", { pool: "pipeline", command: ["true"] })),
    ).toMatchObject({ code: "at_capacity" });
    controller.abort();
    dev.hangUp();
    await dev.says(/info SIGHUP: nothing has changed\n/);
    dev.child.kill("SIGTERM");
    expect(await within("the end", WAIT_MS, dev.exited)).toBe(0);
  });

  test("says what needs a restart, and takes the rest", async () => {
    writeFileSync(file, "pools:\n  pipeline: 1\n");
    const { dev, url } = await startDev("--config", file);
    writeFileSync(
      file,
      "members: 3\nport: 1\ntokenFile: /nowhere\nmaxRate: 500\n" +
        "pools:\n  pipeline: 2\n  crawler: 1\n",
    );
    dev.hangUp();
    await dev.says(/changed: maxRate, pools\.pipeline\.maxChildren, pools\.crawler\n/);
    // `members` and `port` are flags here, which win.
    await dev.says(/warn SIGHUP: needs a restart: tokenFile\n/);
    expect(await maxOf(url)).toBe(2);
  });

  test("flags still win over the file", async () => {
    writeFileSync(file, "graceMs: 100\npools:\n  pipeline:\n    maxChildren: 1\n    maxQueue: 5\n");
    const { dev, url } = await startDev(
      "--config",
      file,
      "--pool",
      "pipeline=3",
      "--grace-ms",
      "50",
    );
    expect(await maxOf(url)).toBe(3);
    writeFileSync(file, "graceMs: 200\npools:\n  pipeline:\n    maxChildren: 9\n    maxQueue: 6\n");
    dev.hangUp();
    await dev.says(/SIGHUP: changed: pools\.pipeline\.maxQueue\n/);
    expect(await maxOf(url)).toBe(3);
  });

  test.each<[string, (file: string) => void, RegExp]>([
    [
      "with mistakes",
      (at) => writeFileSync(at, "prot: 1\npools:\n  pipeline: 0\n"),
      new RegExp(
        "pool\\.yaml:1: prot: .*did you mean port\\?\\n" +
          ".*error \\S*pool\\.yaml:3: pools\\.pipeline\\.maxChildren: " +
          "expected at least 1; got 0\\n",
      ),
    ],
    [
      "without pools that the options allow",
      (at) =>
        writeFileSync(
          at,
          `pools:\n${Array.from({ length: 61 }, (_, index) => `  p${index}: 1\n`).join("")}`,
        ),
      /expected at most 60 pools; got 61/,
    ],
    ["that is gone", () => {}, /pool\.yaml: ENOENT/],
    [
      "that is a folder",
      (at) => mkdirSync(at),
      /pool\.yaml: expected a regular file; got something else/,
    ],
    [
      "that is a named pipe",
      (at) => execFileSync("mkfifo", [at]),
      /pool\.yaml: expected a regular file; got something else/,
    ],
    [
      "of 100 MB",
      (at) => enlarge(at, 100_000_000),
      /pool\.yaml: expected at most 65536 bytes; got more/,
    ],
    [
      "that is no text",
      (at) => writeFileSync(at, Buffer.from([0xff, 0xfe, 0x00])),
      /pool\.yaml: .*not valid/,
    ],
    [
      "whose aliases multiply",
      (at) => writeFileSync(at, bomb()),
      /pool\.yaml:1: expected YAML: Excessive alias count/,
    ],
    [
      "whose lists do not end",
      (at) => writeFileSync(at, `pools: ${"[".repeat(60_000)}`),
      /pool\.yaml:1: expected YAML: /,
    ],
  ])("a file %s leaves everything as it was", async (_, spoil, message) => {
    writeFileSync(file, "pools:\n  pipeline: 4\n");
    const { dev, url } = await startDev("--config", file);
    rmSync(file);
    spoil(file);
    dev.hangUp();
    await dev.says(new RegExp(`error .*${message.source}`));
    await dev.says(/error SIGHUP: everything stays as it was\n/);
    expect(await maxOf(url)).toBe(4);
    lastOf(await callEvents(url, "/pools/pipeline/call", { command: ["true"] }), "result");

    rmSync(file, { recursive: true, force: true });
    writeFileSync(file, "pools:\n  pipeline: 5\n");
    dev.hangUp();
    await dev.says(/SIGHUP: changed: pools\.pipeline\.maxChildren\n/);
    expect(await maxOf(url)).toBe(5);
  });

  test("without --config it changes and ends nothing", async () => {
    const { dev, url } = await startDev();
    dev.hangUp();
    await dev.says(/info SIGHUP: without --config there is nothing to read again\n/);
    expect(await maxOf(url)).toBe(5);
  });

  test.skipIf(!onPath("script"))(
    `dev without --config ends with its terminal${UNLESS_SCRIPT}`,
    async () => {
      // A terminal of its own; the shell says who becomes the member.
      const command = `echo pid $$; exec "${process.execPath}" "${CLI}" dev --members 1 --port 0`;
      const terminal = new Process("script", ["-qefc", command, "/dev/null"]);
      const [, pid] = await terminal.says(/pid (\d+)/);
      await terminal.says(/ready \S+ member m1/);
      process.kill(Number(pid), "SIGHUP");
      await terminal.says(/info SIGHUP: drains/);
      expect(await within("the end", WAIT_MS, terminal.exited)).toBe(0);
    },
  );

  test("a hundred of them under fifty calls lose no call", async () => {
    writeFileSync(file, "pools:\n  pipeline: 1\n");
    const { dev, url } = await startDev("--config", file);
    const calls = Array.from({ length: 50 }, () =>
      callEvents(url, "/call", { pool: "pipeline", command: ["true"], waitMs: 60_000 }),
    );
    for (let round = 0; round < 100; round++) {
      writeFileSync(
        file,
        round % 10 === 9 ? "pools: {" : `pools:\n  pipeline: ${1 + (round % 4)}\n`,
      );
      dev.hangUp();
      // Signals that come together are one, so only some rounds have a reload of their own.
      if (round % 10 === 0) await dev.says(/SIGHUP: /);
    }
    for (const events of await within("the calls", WAIT_MS, Promise.all(calls)))
      lastOf(events, "result");
    writeFileSync(file, "pools:\n  pipeline: 7\n");
    dev.hangUp();
    await until("the last reload", async () => (await maxOf(url)) === 7);
    expect(await getJson(`${url}/children/count`)).toMatchObject({
      pools: { pipeline: { active: 0, max: 7, queued: 0 } },
    });
  });
});

/** Makes a sparse file of this size. */
function enlarge(path: string, bytes: number): void {
  const descriptor = openSync(path, "w");
  ftruncateSync(descriptor, bytes);
  closeSync(descriptor);
}

/** Nine aliases of nine aliases of … */
function bomb(): string {
  const lists = [..."bcdefghi"].map(
    (name, index) => `${name}: &${name} [${`*${"abcdefghi"[index]},`.repeat(9)}]`,
  );
  return `a: &a [x,x,x,x,x,x,x,x,x]\n${lists.join("\n")}\n`;
}

describe("check-config", () => {
  /** The built command's output and exit code. */
  async function check(...args: string[]): Promise<{ code: number | null; text: string }> {
    const checking = new Process(process.execPath, [CLI, "check-config", ...args]);
    await within("its end", WAIT_MS, once(checking.child, "close"));
    return { code: await checking.exited, text: checking.text };
  }

  test("prints the options in force, as a file that says the same", async () => {
    const secret = join(folder, "secret");
    writeFileSync(secret, `whsec_${randomBytes(24).toString("base64")}\n`, { mode: 0o600 });
    writeFileSync(
      file,
      `port: 7500
notifySecretFile: ${secret}
pools:
  pipeline:
    maxChildren: 2
    warm: 1
    limits: {memoryBytes: 33554432, deadlineMs: 1000}
    readOnly: [/usr, '/usr:/models']
    fetch: ['https://*.example.com/a/']
    notify: ['https://example.com/done/']
runtimes: {ruby: {command: [ruby, '{source}']}}
`,
    );
    const { code, text } = await check(file);
    expect(code).toBe(0);
    expect(text).toMatch(/^port: 7500$/m);
    expect(text).toMatch(/^graceMs: 5000$/m);
    expect(text).toMatch(/^pools:\n {2}pipeline:\n {4}maxChildren: 2$/m);
    expect(text).toMatch(/^ {6}memoryBytes: 33554432\n {6}processes: 256$/m);
    expect(text).toMatch(/^ {6}- \/usr\n {6}- \/usr:\/models$/m);
    expect(text).toMatch(/^ {4}notify:\n {6}- https:\/\/example\.com\/done\/$/m);
    expect(text).toMatch(/^ {4}warm:\n {6}node: 1$/m);
    writeFileSync(file, text);
    expect(await check(file)).toEqual({ code, text });
  });

  test("prints every problem, a line each", async () => {
    const token = join(folder, "tokens");
    writeFileSync(token, "nonsense\n");
    writeFileSync(
      file,
      `host: 0.0.0.0
graceMs: 5
tlsCert: ${folder}
pools:
  pipeline:
    maxChildren: 2
    readOnly: [/usr, /nowhere/at/all]
    devices: [/dev/null, /dev/nothing]
    root: ${folder}
`,
    );
    const { code, text } = await check(file, "--sandbox", "off");
    expect(code).toBe(2);
    const lines = text.trimEnd().split("\n");
    expect(lines.map((line) => line.replace(`${file}:`, ""))).toEqual([
      "1: host: expected a loopback address, because the sandbox is off; got host 0.0.0.0",
      expect.stringMatching(/^1: host: host 0\.0\.0\.0 is not loopback/),
      expect.stringMatching(/^1: host: host 0\.0\.0\.0 is every address/),
      `3: tlsCert: expected a regular file; got ${folder}`,
      "7: pools.pipeline.readOnly.1: expected a file or folder; got /nowhere/at/all: ENOENT",
      "8: pools.pipeline.devices.1: expected a device; got /dev/nothing: ENOENT",
      "9: pools.pipeline.root: expected a root file system with /bin/sh; " +
        `got ${folder}/bin/sh: ENOENT`,
    ]);
    const flagged = await check(file, "--token-file", token);
    expect(flagged.text).toMatch(/^--token-file: token file .*: line 1: expected sha256:/m);
  });

  test("reports a file's mistakes together with missing files that it names", async () => {
    writeFileSync(
      file,
      `prot: 1
graceMs: soon
pools:
  pipeline: {maxChildren: 1, readOnly: [/nowhere]}
  other: {maxChildren: many}
`,
    );
    const { code, text } = await check(file);
    expect(code).toBe(2);
    expect(
      text
        .trimEnd()
        .split("\n")
        .map((line) => line.slice(file.length, file.length + 14)),
    ).toEqual([":1: prot: expe", ":2: graceMs: e", ":5: pools.othe", ":4: pools.pipe"]);
  });

  test("a certificate and a key that do not belong together, half a JWT", async () => {
    for (const name of ["cert.pem", "key.pem"]) writeFileSync(join(folder, name), "x");
    writeFileSync(
      file,
      `tlsCert: ${folder}/cert.pem
tlsKey: ${folder}/key.pem
jwksUrl: http://example.com
jwtIssuer: i
jwtAudience: a
pools: {pipeline: 1}
`,
    );
    const { code, text } = await check(file);
    expect(code).toBe(2);
    expect(text).toMatch(/:1: tlsCert: certificates .*PEM/);
    expect(text).toMatch(/:3: jwksUrl: expected the JWKS at an https URL/);
    writeFileSync(file, "jwksUrl: https://example.com\npools: {pipeline: 1}\n");
    expect(await check(file)).toEqual({
      code: 2,
      text:
        `${file}: expected --jwks-url, --jwt-issuer and --jwt-audience together; ` +
        "got some of them\n",
    });
  });

  test("a file for dev", async () => {
    writeFileSync(file, "members: 2\n");
    const dev = await check(file, "--dev");
    expect(dev).toMatchObject({
      code: 0,
      text: expect.stringMatching(/^members: 2\n[\s\S]*pipeline:\n {4}maxChildren: 5\n/),
    });
    const serve = await check(file);
    expect(serve).toMatchObject({
      code: 2,
      text: expect.stringMatching(
        /:1: members: expected one of pools, .*; got "members", which only dev takes\n$/,
      ),
    });
  });

  test.each<[string, string[], RegExp]>([
    ["no file", [], /expected one configuration file; got none/],
    ["two files", ["a", "b"], /expected one configuration file; got 2/],
    ["a file that is not there", ["/nowhere.yaml"], /\/nowhere\.yaml: ENOENT/],
    ["an option of another command", ["a", "--follow"], /--follow.*see dpool check-config --help/],
  ])("%s", async (_, args, message) => {
    expect(await check(...args)).toMatchObject({ code: 2, text: expect.stringMatching(message) });
  });

  test("takes the example of the documentation", async () => {
    const page = readFileSync(join(ROOT, "server/docs/configuration.md"), "utf8");
    const [, example = ""] =
      /```yaml[^\n]*\n((?:(?!```)[\s\S])*pools:[\s\S]*?)```/.exec(page) ?? [];
    expect(example).toContain("readOnly:");
    writeFileSync(file, example);
    expect(await check(file)).toMatchObject({ code: 0 });
  });
});

test("config-schema prints a JSON Schema that an editor can check the file by", async () => {
  const printing = new Process(process.execPath, [CLI, "config-schema"]);
  await within("its end", WAIT_MS, once(printing.child, "close"));
  expect(await printing.exited).toBe(0);
  expect(JSON.parse(printing.text)).toMatchObject({
    $schema: "https://json-schema.org/draft/2020-12/schema",
    additionalProperties: false,
    properties: {
      graceMs: { type: "integer", default: 5_000 },
      pools: { type: "object" },
      runtimes: { type: "object" },
    },
  });
});
