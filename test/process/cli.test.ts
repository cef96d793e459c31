/** The built command line as a process of its own, and the package as a user installs it. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { EmbeddedRegistry, type RunningMember, startMember } from "../../server/main.ts";
import { cleanEnvironment } from "../helpers/processes.ts";
import { onPath } from "../helpers/programs.ts";
import { LEVEL, SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { Screen } from "../helpers/screen.ts";
import { eventually, within } from "../helpers/wait.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "dist/cli.js");
const COMMAND_TIMEOUT_MS = 30_000;
const INSTALL_TIMEOUT_MS = 240_000;

const hasSandbox = onPath("bwrap");
const unlessSandbox = hasSandbox ? "" : " (skipped: bwrap is not installed)";

interface Ran {
  readonly code: number | null;
  readonly bytes: Buffer;
  readonly stdout: string;
  readonly stderr: string;
}

/** Keeps the settings of the person who runs the tests away from the command line. */
const ENVIRONMENT = { ...cleanEnvironment(), DPOOL_SANDBOX: SANDBOX_OPTION };

function run(
  file: string,
  args: readonly string[],
  { timeout = COMMAND_TIMEOUT_MS, env = {}, cwd = ROOT, input = "" } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      {
        timeout,
        cwd,
        env: { ...ENVIRONMENT, ...env },
        encoding: "buffer",
        maxBuffer: 64 * 1024 * 1024,
      },
      (error, bytes, err) => {
        const ran = {
          code: child.exitCode,
          bytes,
          stdout: bytes.toString(),
          stderr: err.toString(),
        };
        if (error?.killed)
          reject(
            new Error(
              `${file} ${args.join(" ")}: did not end within ${timeout} ms: ` +
                `${ran.stdout}${ran.stderr}`,
            ),
          );
        else resolve(ran);
      },
    );
    child.stdin?.end(input);
  });
}

const dpool = (args: readonly string[], options?: Parameters<typeof run>[2]) =>
  run(process.execPath, [CLI, ...args], options);

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

/** Starts a member's process and answers with its first lines. */
async function serving(
  args: readonly string[],
  lines: number,
): Promise<{ child: ChildProcess; ready: string[] }> {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: ROOT,
    env: ENVIRONMENT,
    stdio: ["ignore", "pipe", "ignore"],
  });
  started.push(child);
  const ready: string[] = [];
  const read = async () => {
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream }))
      if (ready.push(line) === lines) return;
    throw new Error(`it ended after ${ready.length} of ${lines} lines`);
  };
  await within(`dpool ${args.join(" ")}: ready`, COMMAND_TIMEOUT_MS, read());
  return { child, ready };
}

describe("help and mistakes", () => {
  test("the help text names every command, and each command its options", async () => {
    const { code, stdout } = await dpool(["--help"]);
    expect(code).toBe(0);
    for (const command of [
      "serve",
      "dev",
      "call",
      "place",
      "ps",
      "logs",
      "stop",
      "members",
      "check-config",
      "config-schema",
      "token",
    ]) {
      expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, "m"));
      const help = await dpool([command, "--help"]);
      expect(help.code).toBe(0);
      expect(help.stdout).toContain(`dpool ${command}`);
      expect(help.stdout).toContain("--help");
    }
  });

  test.each<[string, string[], RegExp]>([
    ["an unknown command", ["fly"], /expected one of serve, .*got "fly"/],
    [
      "an unknown option",
      ["call", "pipeline", "--fast", "--", "true"],
      /--fast.*see dpool call --help/,
    ],
    ["no pool", ["call", "--", "true"], /expected one pool; got none/],
    [
      "a command without --",
      ["call", "pipeline", "echo", "hello"],
      /expected one pool, and -- before a command: dpool call pipeline -- echo hello; got/,
    ],
    [
      "a folder for no files",
      ["call", "pipeline", "--out", "shots", "--", "true"],
      /--out: expected --artifact PATTERN beside it/,
    ],
    [
      "a text that looks like a flag",
      ["call", "pipeline", "--task", "-x"],
      /^dpool: --task: expected a value; got "-x", which needs the form --task=-x$/m,
    ],
    [
      "a folder in a device",
      ["call", "pipeline", "--out", "/dev/null/x", "--artifact", "*", "--", "true"],
      /^dpool: --out: expected a folder to write into; got EEXIST: .*$/m,
    ],
    [
      "a folder where none can be made",
      ["call", "pipeline", "--out", "/proc/x/y", "--artifact", "*", "--", "true"],
      /^dpool: --out: expected a folder to write into; got (ENOENT|EACCES): .*$/m,
    ],
    [
      "a label without a name",
      ["ps", "--label", ""],
      /--label: expected NAME=VALUE or NAME; got ""/,
    ],
    [
      "an option of serve beside --url",
      ["doctor", "--url", "127.0.0.1:1", "--port", "5"],
      /expected no option of dpool serve beside --url or POOL; got --port/,
    ],
    [
      "a terminal that is not linked",
      ["call", "pipeline", "-t", "--no-link", "--", "true"],
      /--no-link: expected no --tty beside it; place -t lets a child go on/,
    ],
    [
      "a value that looks like a flag",
      ["call", "pipeline", "--wait-ms", "-5", "--", "true"],
      /^dpool: --wait-ms: expected a whole number from 0 to \d+; got "-5"$/m,
    ],
    ["a holder with a space", ["token", "a b"], /expected a name of .*; got "a b"/],
    [
      "no command",
      ["call", "pipeline"],
      /expected a command behind --, --function SOURCE, --task NAME or --spec JSON/,
    ],
    [
      "arguments that are no array",
      ["call", "pipeline", "--task", "greet", "--args", "1"],
      /--args: expected a JSON array, .*got "1"/,
    ],
    [
      "arguments of nothing",
      ["call", "pipeline", "--args", "[1]", "--", "true"],
      /--args: expected --function or --task beside it/,
    ],
    [
      "JSON that is none",
      ["call", "pipeline", "--spec", "{"],
      /--spec: expected a child spec as JSON/,
    ],
    [
      "a number that is none",
      ["dev", "--port", "many"],
      /--port: expected a whole number from 0 to 65535; got "many"/,
    ],
    [
      "a word that is not allowed",
      ["dev", "--sandbox", "maybe"],
      /--sandbox: expected auto or no-cgroup or off; got "maybe"/,
    ],
    [
      "a variable that is not a pair",
      ["call", "pipeline", "--env", "FOO", "--", "true"],
      /--env: expected NAME=VALUE; got "FOO"/,
    ],
    [
      "a file that is not there",
      ["call", "pipeline", "--stdin", "/nowhere", "--", "cat"],
      /--stdin: ENOENT/,
    ],
    ["serve without a pool", ["serve"], /expected at least one --pool NAME=MAX/],
    [
      "two places to ask",
      ["ps", "--url", "http://127.0.0.1:1", "--consul", "127.0.0.1:1"],
      /at most one of --url, --consul/,
    ],
  ])("%s is a usage error", async (_, args, message) => {
    const { code, stdout, stderr } = await dpool(args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });

  test("--version tells the version of the package", async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    expect(await dpool(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  test("an option may be a variable, and the flag wins", async () => {
    const { stderr } = await dpool(["dev"], { env: { DPOOL_PORT: "many" } });
    expect(stderr).toContain('DPOOL_PORT: expected a whole number from 0 to 65535; got "many"');
    const flag = await dpool(["dev", "--port", "more"], { env: { DPOOL_PORT: "many" } });
    expect(flag.stderr).toContain('got "more"');
  });

  test("an address beyond loopback is refused without --insecure", async () => {
    const { code, stdout, stderr } = await dpool([
      "serve",
      "--pool",
      "pipeline=1",
      "--host",
      "0.0.0.0",
      "--port",
      "0",
    ]);
    expect(stderr).toMatch(/0\.0\.0\.0 is not loopback.*--insecure/);
    expect(stdout).toBe("");
    expect(code).not.toBe(0);
  });

  test("a pool that nobody answers for is the pool's failure", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const { code, stderr } = await dpool([
      "call",
      "pipeline",
      "--url",
      `http://127.0.0.1:${port}`,
      "--",
      "true",
    ]);
    expect(stderr).toMatch(/^dpool: no_members_available: cannot reach a member at .*ECONNREFUSED/);
    expect(code).toBe(125);
  });
});

describe.skipIf(!hasSandbox)(`against a member${unlessSandbox}`, () => {
  let folder: string;
  let member: RunningMember;
  let pools: DistributedPool;
  const ask = (command: string, ...args: string[]) =>
    dpool([command, "--url", member.url, ...args]);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "distributed-pool-cli-"));
    const tasks = join(folder, "tasks");
    await mkdir(tasks);
    await writeFile(
      join(tasks, "greet.ts"),
      "export default (greeting: string, name: string) => greeting + ' ' + name;",
    );
    member = await startMember({
      name: "m1",
      pools: { pipeline: 5 },
      port: 0,
      registry: new EmbeddedRegistry(),
      tasks,
    });
    await member.joined;
    pools = new DistributedPool({ url: member.url });
  });

  afterAll(async () => {
    await pools.close();
    await member.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test("call keeps stdout and stderr apart and ends with the child's exit code", async () => {
    const { code, stdout, stderr } = await ask(
      "call",
      "pipeline",
      "--",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 3",
    );
    expect({ code, stdout, stderr }).toEqual({ code: 3, stdout: "out\n", stderr: "err\n" });
  });

  test("a child's progress is a bar on a terminal, and leaves nothing behind", async (context) => {
    context.skip(!onPath("script"), "script is not installed");
    const { id } = await pools.placeChild("pipeline", {
      command: [
        "sh",
        "-c",
        "trap 'echo out; exit' TERM; echo 1/4 half of half >&3; while :; do sleep 0.1; done",
      ],
    });
    const child = spawn(
      "script",
      ["-qec", `${process.execPath} ${CLI} logs -f ${id} --url ${member.url}`, "/dev/null"],
      {
        env: ENVIRONMENT,
        stdio: ["ignore", "pipe", "ignore"],
      },
    );
    started.push(child);
    const screen = new Screen();
    const closed = once(child, "close");
    child.stdout.on("data", (bytes: Buffer) => screen.write(bytes.toString()));
    const bar = async () => {
      while (String(screen) !== "[#####---------------] 25% 1/4 half of half")
        await once(child.stdout, "data");
    };
    await within("the bar", COMMAND_TIMEOUT_MS, bar());
    await pools.child(id).stop();
    expect((await within("the end", COMMAND_TIMEOUT_MS, closed))[0]).toBe(125);
    expect(String(screen)).toMatch(/^out\ndpool: cancelled: [^\n#]*\n$/);
  });

  test("a child's progress is not shown where there is no terminal", async () => {
    const { code, stdout, stderr } = await ask(
      "call",
      "pipeline",
      "--",
      "sh",
      "-c",
      "echo 1/4 >&3; echo out; echo err >&2",
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "out\n", stderr: "err\n" });
  });

  test("the exit code of a command that succeeds, is not found, or is killed", async () => {
    expect((await ask("call", "pipeline", "--", "true")).code).toBe(0);
    expect((await ask("call", "pipeline", "--", "no-such-program")).code).toBe(127);
    const killed = await ask("call", "pipeline", "--", "sh", "-c", "kill -KILL $$");
    expect(killed.stderr).toMatch(/^dpool: worker_crashed: .*SIGKILL/);
    expect(killed.code).toBe(137);
  });

  test("bytes come back as they went in", async () => {
    const bytes = Buffer.from(
      Array.from({ length: 300_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff),
    );
    const file = join(folder, "bytes");
    await writeFile(file, bytes);
    const { code, bytes: out } = await ask("call", "pipeline", "--stdin", file, "--", "cat");
    expect(out.equals(bytes)).toBe(true);
    expect(code).toBe(0);
  });

  test("--stdin - passes this command's own standard input on", async () => {
    const { stdout } = await dpool(
      ["call", "pipeline", "--url", member.url, "--stdin", "-", "--", "tr", "a-z", "A-Z"],
      { input: "quiet\n" },
    );
    expect(stdout).toBe("QUIET\n");
  });

  /** Starts the command line with pipes, and reads what it prints line by line. */
  function talking(...args: string[]) {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: ROOT,
      env: ENVIRONMENT,
      stdio: ["pipe", "pipe", "inherit"],
    });
    started.push(child);
    child.stdin?.on("error", () => {});
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[
      Symbol.asyncIterator
    ]();
    const exited = once(child, "exit");
    return {
      child,
      line: async () => (await within("a line", COMMAND_TIMEOUT_MS, lines.next())).value,
      code: async () => (await within("the end", COMMAND_TIMEOUT_MS, exited))[0],
    };
  }

  test("each typed line reaches the child, and its output comes back meanwhile", async () => {
    const echo = 'while read -r line; do echo "got $line"; done; echo over';
    const { child, line, code } = talking(
      "call",
      "pipeline",
      "--url",
      member.url,
      "--stdin",
      "-",
      "--",
      "sh",
      "-c",
      echo,
    );
    for (const typed of ["one", "two"]) {
      child.stdin?.write(`${typed}\n`);
      expect(await line()).toBe(`got ${typed}`);
    }
    child.stdin?.end();
    expect(await line()).toBe("over");
    expect(await code()).toBe(0);
  });

  test("a child that ends early ends the command, whatever else is typed", async () => {
    const { child, line, code } = talking(
      "call",
      "pipeline",
      "--url",
      member.url,
      "--stdin",
      "-",
      "--",
      "head",
      "-n",
      "1",
    );
    const more = () => {
      while (child.stdin?.writable && child.stdin.write("y\n".repeat(10_000))) {}
    };
    child.stdin?.on("drain", more);
    more();
    expect(await line()).toBe("y");
    expect(await code()).toBe(0);
    const silent = talking(
      "call",
      "pipeline",
      "--url",
      member.url,
      "--stdin",
      "-",
      "--",
      "echo",
      "enough",
    );
    expect(await silent.line()).toBe("enough");
    expect(await silent.code()).toBe(0);
  });

  test("a command that is killed midway takes its child along", async () => {
    const { child, line } = talking(
      "call",
      "pipeline",
      "--url",
      member.url,
      "--stdin",
      "-",
      "--label",
      "job=typed",
      "--",
      "cat",
    );
    child.stdin?.write("half\n");
    expect(await line()).toBe("half");
    child.kill("SIGKILL");
    await eventually(
      "the child to be stopped",
      async () => {
        expect((await ask("ps", "--label", "job=typed")).stdout).toMatch(/ cancelled +job=typed$/m);
      },
      COMMAND_TIMEOUT_MS,
    );
  });

  test("--env reaches the child, and the child knows where it is", async () => {
    const { stdout } = await ask(
      "call",
      "pipeline",
      "--env",
      "FOO=1212",
      "--",
      "sh",
      "-c",
      'echo "$POOL_MEMBER $POOL_NAME $FOO"',
    );
    expect(stdout).toBe("m1 pipeline 1212\n");
  });

  test("a function's value is printed as JSON, a function that throws with its stack", async () => {
    const sum = await ask(
      "call",
      "pipeline",
      "--spec",
      '{"function":{"source":"(a, b) => ({ sum: a + b })","args":[1211,1]}}',
    );
    expect(sum).toMatchObject({ code: 0, stdout: '{"sum":1212}\n', stderr: "" });
    const threw = await ask(
      "call",
      "pipeline",
      "--spec",
      '{"function":{"source":"() => { throw new RangeError(\\"no foo\\") }"}}',
    );
    expect(threw.stderr).toMatch(
      /^dpool: function_threw: RangeError: no foo\nRangeError: no foo\n\s+at /,
    );
    expect(threw.code).toBe(125);
  });

  test("a value that only devalue carries is printed as Node shows it", async () => {
    const spec = {
      function: { source: "() => new Map([[1n, new Date(0)]])", encoding: "devalue" },
    };
    expect(await ask("call", "pipeline", "--spec", JSON.stringify(spec))).toMatchObject({
      code: 0,
      stdout: "Map(1) { 1n => 1970-01-01T00:00:00.000Z }\n",
    });
  });

  test("--task runs a task, with --args", async () => {
    expect(
      await ask("call", "pipeline", "--task", "greet", "--args", '["hello", "ann"]'),
    ).toMatchObject({ code: 0, stdout: '"hello ann"\n', stderr: "" });
    const unknown = await ask("call", "pipeline", "--task", "nothing");
    expect(unknown.stderr).toMatch(/^dpool: task_not_found: expected one of greet; got nothing\n/);
    expect(unknown.code).toBe(125);
  });

  test("the pool's own failure is 125, and says its code", async () => {
    const { code, stdout, stderr } = await ask("call", "elsewhere", "--", "true");
    expect(stderr).toMatch(/^dpool: pool_not_found: /);
    expect(stdout).toBe("");
    expect(code).toBe(125);
    const late = await ask("call", "pipeline", "--deadline-ms", "100", "--", "sleep", "600");
    expect(late.stderr).toMatch(/^dpool: deadline_exceeded: /);
    expect(late.code).toBe(125);
  });

  test("a placed child is listed, read, stopped", async () => {
    const placed = await ask(
      "place",
      "pipeline",
      "--label",
      "job=nightly",
      "--",
      "sh",
      "-c",
      "echo started; exec sleep 600",
    );
    expect(placed.code).toBe(0);
    expect(placed.stdout).toMatch(/^m1\.[0-9a-f]{32}\n$/);
    const id = placed.stdout.trim();
    const started = async () => {
      for await (const event of pools.child(id).events()) if (event.type === "stdout") return;
    };
    await within("the child's first output", COMMAND_TIMEOUT_MS, started());

    const ps = await ask("ps", "pipeline");
    expect(ps.stdout).toMatch(/^ID +POOL +STATUS +WHAT +AGE +PROGRESS +CALLER +HOW +LABELS\n/);
    expect(ps.stdout).toMatch(
      new RegExp(
        `^${id} +pipeline +running +sh -c echo \\S+ exec sleep 600 +\\d+s +anyone +job=nightly$`,
        "m",
      ),
    );
    expect((await ask("ps")).stdout).toContain(id);

    expect(await ask("logs", id)).toMatchObject({ code: 0, stdout: "started\n", stderr: "" });

    expect(await ask("stop", id)).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect((await ask("ps")).stdout).toMatch(new RegExp(`^${id} +pipeline +ended`, "m"));
    const ended = await ask("logs", "-f", id);
    expect(ended.stdout).toBe("started\n");
    expect(ended.stderr).toMatch(/^dpool: cancelled: /);
    expect(ended.code).toBe(125);
  });

  test("files go in, and artifacts come out into a folder", async () => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7) & 0xff));
    await writeFile(join(folder, "in.bin"), bytes);
    const out = join(folder, "out");
    const script = "cat; mkdir d; cat a/in.bin >d/copy.bin; cat ./*/own >own.txt";
    const file = join(folder, "own");
    await writeFile(file, "own");
    const args = [
      "--file",
      `a/in.bin=${join(folder, "in.bin")}`,
      "--file",
      `b/own=${file}`,
      "--artifact",
      "**/*.bin",
      "--artifact",
      "own.txt",
      "--out",
      out,
    ];
    const { code, stdout, stderr } = await dpool(
      ["call", "pipeline", "--url", member.url, "--stdin", "-", ...args, "--", "sh", "-c", script],
      {
        input: "typed",
      },
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "typed", stderr: "" });
    expect((await readFile(join(out, "d/copy.bin"))).equals(bytes)).toBe(true);
    expect(await readFile(join(out, "own.txt"), "utf8")).toBe("own");
    const missing = await ask("call", "pipeline", "--file", "in=/nowhere", "--", "true");
    expect(missing).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^dpool: --file: ENOENT/),
    });
  });

  test("a placed child gets input and a signal; ps finds it by label and ending", async () => {
    const command = ["sh", "-c", "trap 'echo usr1' USR1; cat; exit 3"];
    const id = (
      await ask("place", "pipeline", "--label", "job=fed", "--", ...command)
    ).stdout.trim();
    expect(await dpool(["stdin", id, "--url", member.url], { input: "one " })).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect((await ask("ps", "--label", "job=fed", "--status", "running")).stdout).toContain(id);
    expect((await ask("ps", "--label", "job=other")).stdout).not.toContain(id);
    expect(await ask("signal", id, "USR1")).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect(
      await dpool(["stdin", id, "--end", "--url", member.url], { input: "two\n" }),
    ).toMatchObject({ code: 0 });
    expect(await ask("logs", "-f", id)).toMatchObject({ code: 3, stdout: "one two\nusr1\n" });
    expect((await ask("ps", "--label", "job")).stdout).toMatch(
      new RegExp(`^${id} +pipeline +ended +sh -c .* anyone +exit 3 +job=fed$`, "m"),
    );
    expect((await dpool(["stdin", id, "--url", member.url], { input: "x" })).stderr).toMatch(
      /^dpool: stdin_closed: /,
    );
    expect(await ask("signal", id, "NOPE")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/expected one of SIGHUP/),
    });
  });

  test("stop --grace-ms 0 kills what ignores TERM", async () => {
    const id = (
      await ask("place", "pipeline", "--", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    ).stdout.trim();
    expect(await ask("stop", id, "--grace-ms", "0")).toMatchObject({ code: 0 });
    expect((await ask("ps", "--status", "ended")).stdout).toMatch(
      new RegExp(`^${id} .* cancelled`, "m"),
    );
  });

  test("logs -f follows the child to its end and exits with the child's exit code", async () => {
    const { stdout: id } = await ask(
      "place",
      "pipeline",
      "--",
      "sh",
      "-c",
      "for n in 1 2 3; do echo $n; sleep 0.1; done; exit 5",
    );
    expect(await ask("logs", "-f", id.trim())).toMatchObject({
      code: 5,
      stdout: "1\n2\n3\n",
      stderr: "",
    });
  });

  test("logs of a child that never existed", async () => {
    const { code, stderr } = await ask("logs", `m1.${"0".repeat(32)}`);
    expect(stderr).toMatch(/^dpool: child_not_found: /);
    expect(code).toBe(125);
  });

  test("members", async () => {
    const { code, stdout } = await ask("members");
    expect(stdout).toMatch(/^MEMBER +POOL +STATE +ACTIVE +URL +SANDBOX +VERSION\n/);
    expect(stdout).toMatch(
      new RegExp(`^m1 +pipeline +up +\\d/5 +${member.url} +${LEVEL} +0\\.2\\.0$`, "m"),
    );
    expect(code).toBe(0);
  });
});

describe.skipIf(!hasSandbox)(`serving${unlessSandbox}`, () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "dev says ready for each member, answers, and %s ends it well",
    async (signal) => {
      const { child, ready } = await serving(
        ["dev", "--members", "2", "--pool", "pipeline=2", "--pool", "other=1", "--port", "0"],
        2,
      );
      const lines = ready.map((line) =>
        /^ready (http:\/\/127\.0\.0\.1:\d+) member (m\d) pools pipeline=2,other=1$/.exec(line),
      );
      expect(lines.map((line) => line?.[2])).toEqual(["m1", "m2"]);
      const url = lines[1]?.[1] as string;
      expect((await fetch(`${url}/readyz`)).status).toBe(200);
      expect((await dpool(["members", "--url", url])).stdout.split("\n")).toHaveLength(6);

      const exited = once(child, "exit");
      child.kill(signal);
      expect(await within(`dev after ${signal}`, COMMAND_TIMEOUT_MS, exited)).toEqual([0, null]);
    },
  );
});

describe.skipIf(!hasSandbox)(`the package${unlessSandbox}`, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "distributed-pool-package-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("packed and installed, it serves a member and runs a function in it", {
    timeout: INSTALL_TIMEOUT_MS + COMMAND_TIMEOUT_MS,
  }, async () => {
    const packed = await run(
      "npm",
      ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder],
      { timeout: INSTALL_TIMEOUT_MS },
    );
    expect(packed.code, packed.stderr).toBe(0);
    const [tarball] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
    expect(tarball).toBe("distributed-pool-0.2.0.tgz");

    await writeFile(join(folder, "package.json"), '{"name":"user","private":true,"type":"module"}');
    const options = { cwd: folder, timeout: INSTALL_TIMEOUT_MS };
    const installed = await run(
      "npm",
      ["install", "--prefer-offline", "--no-audit", "--no-fund", `./${tarball}`],
      options,
    );
    expect(installed.code, installed.stderr).toBe(0);

    await writeFile(
      join(folder, "use.js"),
      `import { DistributedPool } from "distributed-pool";
import { startMember } from "distributed-pool/server";
import contract from "distributed-pool/openapi.json" with { type: "json" };
const member = await startMember({ pools: { pipeline: 1 }, port: 0, name: "installed" });
await member.joined;
const pools = new DistributedPool({ url: member.url });
const say = (foo, { member }) => \`\${member} says foo is \${foo}\`;
const value = await pools.call("pipeline", say, 1212);
const docs = (await fetch(member.url + "/docs/swagger-ui.css")).status;
await pools.close();
await member.stop();
console.log(JSON.stringify({ value, openapi: contract.openapi, docs }));
`,
    );
    const used = await run(process.execPath, ["use.js"], { cwd: folder });
    expect(used.stderr).toBe("");
    expect(JSON.parse(used.stdout)).toEqual({
      value: "installed says foo is 1212",
      openapi: "3.1.0",
      docs: 200,
    });

    const bin = await run(process.execPath, ["node_modules/.bin/dpool", "--help"], { cwd: folder });
    expect(bin.stdout).toMatch(/^dpool: /);
  });
});
