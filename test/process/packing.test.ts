/** Files on their way into a sandbox and out of it. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Data } from "../../openapi/schemas/values.ts";
import { ARTIFACTS_FD, FILES_FD } from "../../server/sandbox/fds.ts";
import { DEPTH_WITH_ARTIFACTS, FILES_FAILED, packed } from "../../server/sandbox/packing.ts";
import { Artifacts } from "../../server/workspace/artifacts.ts";
import { fileOf, packFiles } from "../../server/workspace/pack.ts";
import { within } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";
import { HAS_BUBBLEWRAP } from "../helpers/sandbox.ts";

const MB = 1024 * 1024;
const PATH = "/usr/local/bin:/usr/bin:/bin";

interface Options {
  /** The command line in front of the program's. */
  readonly around?: readonly string[];
  /** The shell that is used in place of `/bin/sh`. */
  readonly shell?: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, Data>>;
  readonly artifacts?: readonly string[];
  readonly stdin?: string;
  readonly maxBytes?: number;
  /** The text that stdout has to bring before the artifacts are read. */
  readonly readAfter?: string;
}

/** A sandbox of the test's own, which shows the system only. */
function bubblewrap(
  env: Readonly<Record<string, string>> = {},
  workspaceBytes = 64 * MB,
): string[] {
  return [
    ...[
      "bwrap",
      "--unshare-all",
      "--die-with-parent",
      "--new-session",
      "--uid",
      "65534",
      "--gid",
      "65534",
      "--cap-drop",
      "ALL",
      "--clearenv",
    ],
    ...Object.entries({ PATH, ...env }).flatMap(([name, value]) => ["--setenv", name, value]),
    ...["/usr", "/bin", "/lib", "/lib64"].flatMap((path) => ["--ro-bind-try", path, path]),
    ...[
      "--proc",
      "/proc",
      "--dev",
      "/dev",
      "--tmpfs",
      "/tmp",
      "--size",
      String(workspaceBytes),
      "--tmpfs",
      "/work",
      "--chdir",
      "/work",
      "--",
    ],
  ];
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "distributed-pool-packing-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function start(
  argv: readonly string[],
  {
    around = bubblewrap(),
    shell,
    cwd = "/",
    env = { PATH },
    files,
    artifacts = [],
    stdin,
    maxBytes = 100 * MB,
    readAfter,
  }: Options,
) {
  const [first = "", ...rest] = packed(argv, { files: files !== undefined, artifacts });
  const [program = "", ...args] = [
    ...around,
    ...(first === "/bin/sh" && shell ? shell : [first]),
    ...rest,
  ];
  const stdio = Array.from({ length: ARTIFACTS_FD + 1 }, (_, fd) => {
    const isOpen =
      fd <= 2 ||
      (fd === FILES_FD && files !== undefined) ||
      (fd === ARTIFACTS_FD && artifacts.length > 0);
    return isOpen ? ("pipe" as const) : ("ignore" as const);
  });
  const child = spawn(program, args, { cwd, env, stdio, detached: true });
  const pid = child.pid as number;
  onTestFinished(() => {
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  });
  const streams = child.stdio as unknown as (Readable & Writable)[];
  const [input, output, errors] = streams as unknown as [Writable, Readable, Readable];
  for (const stream of streams) stream?.on("error", () => {});
  input.end(stdin);
  // A program may end without reading them, which breaks the pipe.
  if (files)
    void pipeline(
      packFiles(Object.entries(files).map(([path, data]) => fileOf(path, data))),
      streams[FILES_FD] as Writable,
    ).catch(() => {});
  const options = { patterns: artifacts, maxBytes, maxFiles: 1_000, folder: makeFolder() };
  const exited = new Promise<number | string | null>((resolve) =>
    child.once("exit", (code, signal) => resolve(code ?? signal)),
  );
  const ready = new Promise<void>((resolve) => {
    if (readAfter === undefined) return resolve();
    let seen = "";
    output.on("data", (chunk: Buffer) => {
      seen += chunk;
      if (seen.includes(readAfter)) resolve();
    });
  });
  const receive = async () => {
    await ready;
    return Artifacts.receive(streams[ARTIFACTS_FD] as Readable, options);
  };
  const ended = Promise.all([
    exited,
    text(output),
    text(errors),
    artifacts.length > 0 ? receive() : null,
  ]);
  const end = async () => {
    const [exitCode, stdout, stderr, left] = await within("the child's end", ended);
    if (left) onTestFinished(() => left.close());
    const contents = new Map<string, Buffer>();
    for (const { path } of left?.list() ?? [])
      contents.set(path, await buffer(left?.open(path)?.stream as Readable));
    return { exitCode, stdout, stderr, problem: left?.problem, contents };
  };
  return { pid, output, end };
}

const run = (argv: readonly string[], options: Options = {}) => start(argv, options).end();
const runScript = (script: string, options: Options = {}) => run(["sh", "-c", script], options);
const texts = (contents: ReadonlyMap<string, Buffer>) =>
  Object.fromEntries([...contents].map(([path, bytes]) => [path, bytes.toString()]));

/** The pid of a descendant of a process, `depth` generations below. */
function below(pid: number, depth: number): number | undefined {
  let at: number | undefined = pid;
  for (let level = 0; level < depth && at; level++) {
    at = Number.parseInt(readFileSync(`/proc/${at}/task/${at}/children`, "utf8"), 10) || undefined;
  }
  return at;
}

const ODD_NAMES = [
  "two\nlines",
  'it\'s "quoted"',
  "-rf",
  "--checkpoint-action=exec=sh x",
  "back\\nslash\\101",
  "é/😀/ü",
  " ",
  "*?[a]",
  ".hidden",
  "$(x)`x`;|&",
  "@x",
];

describe.skipIf(!HAS_BUBBLEWRAP)(
  "in bubblewrap (skipped where it is missing or not allowed)",
  () => {
    const shells = [
      { name: "dash", shell: ["/bin/dash"] },
      { name: "bash", shell: ["/bin/bash", "--posix"] },
      { name: "busybox", shell: ["/bin/busybox", "sh"] },
    ];
    describe.each(shells)(
      "with $name as the shell (skipped where it is missing)",
      ({ name, shell }) => {
        const testHere = test.skipIf(!onPath(name));

        testHere("files go in and come out byte for byte", async () => {
          const given = new Map([
            ["empty", Buffer.alloc(0)],
            ["large", randomBytes(5 * MB)],
            ["every byte", Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
            [`${"deep/".repeat(300)}file`, Buffer.from("deep")],
            [`${"n".repeat(255)}`, Buffer.from("long")],
            ...ODD_NAMES.map((path) => [path, Buffer.from(path)] as const),
          ]);
          const files = Object.fromEntries(
            [...given].map(([path, bytes]) => [path, { base64: bytes.toString("base64") }]),
          );
          const { exitCode, stderr, problem, contents } = await run(["true"], {
            shell,
            files,
            artifacts: ["**"],
          });
          expect({ exitCode, stderr, problem }).toEqual({
            exitCode: 0,
            stderr: "",
            problem: undefined,
          });
          expect([...contents.keys()].toSorted()).toEqual([...given.keys()].toSorted());
          for (const [path, bytes] of given)
            expect(contents.get(path)?.equals(bytes), path).toBe(true);
        });

        testHere("the program finds its files, and its results come out", async () => {
          const { contents, stdout } = await runScript(
            "mkdir out; tr a-z A-Z <in/a.txt >out/a.txt; cat in/b.txt; stat -c %a in/a.txt",
            {
              shell,
              files: { "in/a.txt": "text", "in/b.txt": { text: "é\n" } },
              artifacts: ["out/*"],
            },
          );
          expect(stdout).toBe("é\n644\n");
          expect(texts(contents)).toEqual({ "out/a.txt": "TEXT" });
        });

        testHere.each([
          ["exit 0", 0],
          ["exit 7", 7],
          ["exit 255", 255],
          ["kill -TERM $$", 143],
          ["kill -KILL $$", 137],
          ["kill -INT $$", 130],
          ["kill -SEGV $$", 139],
        ])("the exit code of `%s` is kept, without a message", async (script, code) => {
          for (const files of [{ in: "x" }, undefined]) {
            const { exitCode, stderr, contents } = await runScript(`echo left >out; ${script}`, {
              shell,
              ...(files ? { files } : {}),
              artifacts: ["out"],
            });
            expect({ exitCode, stderr }).toEqual({ exitCode: code, stderr: "" });
            expect(texts(contents)).toEqual({ out: "left\n" });
          }
          expect((await runScript(script, { shell, files: { in: "x" } })).exitCode).toBe(code);
        });

        testHere.each([
          [["no-such-program"]],
          [["exit", "3"]],
          [["-x"]],
          [["-a", "x", "ls"]],
          [["--"]],
        ])("%j is no program", async (argv) => {
          for (const artifacts of [[], ["*"]]) {
            const { exitCode, stderr } = await run(argv, { shell, files: { in: "x" }, artifacts });
            expect(exitCode).toBe(127);
            expect(stderr).toContain("not found");
          }
        });

        testHere("the standard streams are the program's", async () => {
          for (const artifacts of [[], ["*"]]) {
            const { stdout, stderr } = await runScript("cat; echo err >&2", {
              shell,
              files: { in: "x" },
              artifacts,
              stdin: "given",
            });
            expect({ stdout, stderr }).toEqual({ stdout: "given", stderr: "err\n" });
          }
        });

        testHere("the pipes of the files are not open in the program", async () => {
          // Without packing: the descriptors that the tests themselves inherited.
          const openIn = async (options: Options) =>
            [...(await runScript("ls /proc/$$/fd", options)).stdout.matchAll(/\d+/g)]
              .map(Number)
              .toSorted((x, y) => x - y);
          const bare = await openIn({});
          for (const options of [
            { files: { in: "x" } },
            { artifacts: ["*"] },
            { files: { in: "x" }, artifacts: ["*"] },
          ]) {
            const open = await openIn({ shell, ...options });
            expect(open.filter((fd) => [FILES_FD, ARTIFACTS_FD, 9].includes(fd))).toEqual([]);
            expect(open).toEqual(bare.filter((fd) => ![FILES_FD, ARTIFACTS_FD, 9].includes(fd)));
          }
        });

        testHere(
          "the program alone gets a signal, and the files that it leaves then come out",
          async () => {
            const script =
              "trap 'echo bye >out; exit 9' TERM; echo up; while :; do sleep 0.02; done";
            const child = start(["sh", "-c", script], { shell, artifacts: ["out"] });
            await within(
              "the first line",
              new Promise((resolve) => child.output.once("data", resolve)),
            );
            // Above the program: bubblewrap, its first process inside, and the shell.
            const pid = below(child.pid, 2 + DEPTH_WITH_ARTIFACTS);
            expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toBe(`sh\0-c\0${script}\0`);
            process.kill(pid as number, "SIGTERM");
            const { exitCode, contents } = await child.end();
            expect(exitCode).toBe(9);
            expect(texts(contents)).toEqual({ out: "bye\n" });
          },
        );

        testHere("with files only, the program replaces the shell", async () => {
          const child = start(["sh", "-c", "echo up; while :; do sleep 0.02; done"], {
            shell,
            files: { in: "x" },
          });
          await within(
            "the first line",
            new Promise((resolve) => child.output.once("data", resolve)),
          );
          process.kill(below(child.pid, 2) as number, "SIGTERM");
          expect((await child.end()).exitCode).toBe(143);
        });

        testHere(
          "files that do not fit end it before the program starts, with their own code and line",
          async () => {
            for (const artifacts of [[], ["*"]]) {
              const { exitCode, stdout, stderr } = await runScript("echo ran", {
                shell,
                around: bubblewrap({}, 65_536),
                files: { large: { base64: Buffer.alloc(MB).toString("base64") } },
                artifacts,
              });
              expect({ exitCode, stdout }).toEqual({ exitCode: FILES_FAILED.exitCode, stdout: "" });
              expect(stderr).toContain("tar: large: ");
              expect(stderr.trimEnd().endsWith(FILES_FAILED.message)).toBe(true);
            }
            const clash = await run(["echo", "ran"], { shell, files: { a: "1", "a/b": "2" } });
            expect(clash).toMatchObject({ exitCode: FILES_FAILED.exitCode, stdout: "" });
          },
        );

        testHere("the program's variables are the program's", async () => {
          const env = {
            PATH: "/nowhere",
            TAR_OPTIONS: "--exclude=*",
            LC_ALL: "C",
            code: "mine",
            POSIXLY_CORRECT: "1",
          };
          const { stdout, contents, problem } = await run(["/usr/bin/env"], {
            shell,
            around: bubblewrap(env),
            files: { é: "x" },
            artifacts: ["?"],
          });
          for (const [name, value] of Object.entries(env))
            expect(stdout.split("\n")).toContain(`${name}=${value}`);
          expect(problem).toBeUndefined();
          expect(texts(contents)).toEqual({ é: "x" });
        });
      },
    );

    test("only regular files come out, and no file through a link", async () => {
      const script = [
        "echo own >file; ln file hard; mkdir folder; echo in >folder/file",
        "ln -s /etc/passwd passwd; ln -s /usr/bin/env env; ln -s file soft; ln -s " +
          "/usr/share/doc docs; ln -s folder other; ln -s . loop; ln -s /proc/self/environ " +
          "environ",
        "mkfifo pipe; mkdir -p x/y; ln -s ../../.. x/y/up",
      ].join("; ");
      const { contents, problem, exitCode } = await runScript(script, {
        artifacts: ["**", "passwd", "env", "docs/*", "x/y/up/**"],
      });
      expect({ exitCode, problem }).toEqual({ exitCode: 0, problem: undefined });
      expect(texts(contents)).toEqual({ file: "own\n", hard: "own\n", "folder/file": "in\n" });
    });

    test("files that turn into links during the packing bring no content of others", async () => {
      const secret = join(makeFolder(), "secret");
      writeFileSync(secret, "kept by the host");
      // The large file is the newest, so tar packs it first. It waits there for a reader, and has
      // all names by then.
      const script = `
      mkdir folder; echo own >folder/os-release; echo own >stays
      for each in 1 2 3 4 5; do echo own >outside$each; echo own >system$each; done
      {
        while ! ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q /work/large; do sleep 0.01; done
        for each in 1 2 3 4 5; do ln -sfn "$0" outside$each; done
        for each in 1 2 3 4 5; do ln -sfn /usr/lib/os-release system$each; done
        rm -r folder; ln -s /root folder; echo turned
      } &
      head -c 4000000 /dev/zero >large`;
      const child = start(["sh", "-c", script, secret], {
        artifacts: ["**"],
        readAfter: "turned\n",
      });
      const { exitCode, stderr, problem, contents } = await child.end();
      expect({ exitCode, stderr, problem }).toEqual({
        exitCode: 0,
        stderr: "",
        problem: undefined,
      });
      expect([...contents.keys()].toSorted()).toEqual(["large", "stays"]);
    });

    test("too many bytes end the packing, and the exit code is kept", async () => {
      const { exitCode, problem, contents } = await runScript("truncate -s 50G huge; exit 7", {
        artifacts: ["huge"],
        maxBytes: 10 * MB,
      });
      expect(exitCode).toBe(7);
      expect(problem).toContain("larger than");
      expect(contents.size).toBe(0);
    });

    test("an archive that the program forges is treated like any other", async () => {
      const script =
        "echo forged >x; tar -cPf - /usr/lib/os-release ./x >/proc/$PPID/fd/8 2>/dev/null; " +
        "rm x; echo own >out";
      const { exitCode, contents } = await runScript(script, { artifacts: ["**"] });
      expect(exitCode).toBe(0);
      expect([...contents.keys()].filter((path) => path !== "x" && path !== "out")).toEqual([]);
    });

    test("patterns are neither options nor shell", async () => {
      const { contents, exitCode } = await runScript(
        "echo 1 >a; echo 2 >-delete; echo 3 >'$(touch b)'",
        {
          artifacts: [
            "-delete",
            "$(touch b)",
            "a -o -name c",
            "'; touch b; '",
            ")",
            "-exec",
            "{}",
            ";",
          ],
        },
      );
      expect(exitCode).toBe(0);
      expect(texts(contents)).toEqual({ "-delete": "2\n", "$(touch b)": "3\n" });
    });

    test("a stray process does not keep the program's streams open", async () => {
      const child = start(["sh", "-c", "echo out; sleep 600 >/dev/null 2>&1 & exit 0"], {
        artifacts: ["*"],
      });
      expect(await child.end()).toMatchObject({ exitCode: 0, stdout: "out\n", problem: undefined });
    });
  },
);

test("without a sandbox, a signal to the whole group does not end the packing", async () => {
  const cwd = makeFolder();
  const script = "trap 'echo bye >out; exit 9' TERM; echo up; while :; do sleep 0.02; done";
  const child = start(["sh", "-c", script], { around: [], cwd, artifacts: ["out"] });
  await within("the first line", new Promise((resolve) => child.output.once("data", resolve)));
  process.kill(-child.pid, "SIGTERM");
  const { exitCode, contents } = await child.end();
  expect(exitCode).toBe(9);
  expect(texts(contents)).toEqual({ out: "bye\n" });
});
