/** Programs that open `/dev/stdin`, `/dev/stdout`, `/dev/stderr` and their like by name. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  callEvents,
  collect,
  lastOf,
  type Options,
  post,
  startOne,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";
import { bunMissing, onPath, pythonMissing } from "../helpers/programs.ts";
import { HAS_BUBBLEWRAP, SANDBOX_OPTION } from "../helpers/sandbox.ts";

/** The pipes are those of `no-cgroup` also where there are control groups. */
const LEVELS = HAS_BUBBLEWRAP ? ([SANDBOX_OPTION, "off"] as const) : (["off"] as const);
/** Less and more than a pipe holds, which is 64 KiB. */
const SIZES = [0, 60_000, 66_000, 5_000_000];

const input = (bytes: number) => "0123456789abcde\n".repeat(bytes / 16 + 1).slice(0, bytes);

/** A member for many calls at a time. */
const start = (options: Options = {}) =>
  startOne({ path: process.env.PATH, pools: { pipeline: 20 }, ...options });

async function run({ url }: RunningMember, spec: ChildSpecInput): Promise<Record<string, unknown>> {
  const answer = await post(url, "/run", { pool: "pipeline", deadlineMs: 20_000, ...spec });
  return (await answer.json()) as Record<string, unknown>;
}

/** Each copies its input to its output. Programs of different authors, in different languages. */
// biome-ignore format: one program, one line
const COPIES: Readonly<Record<string, string[]>> = {
  "cat /dev/stdin": ["cat", "/dev/stdin"],
  "cat /dev/fd/0": ["cat", "/dev/fd/0"],
  "cat /proc/self/fd/0": ["cat", "/proc/self/fd/0"],
  "dash, a redirection": ["sh", "-c", "cat </dev/stdin >/dev/stdout"],
  "dash, appending": ["sh", "-c", "cat >>/dev/stdout"],
  "bash, a descriptor of its own": ["bash", "-c", "exec 7<&0; cat /dev/fd/7 >/proc/self/fd/1"],
  "bash, a process substitution": ["bash", "-c", "cat <(cat /dev/stdin)"],
  "tee /dev/fd/5": ["sh", "-c", "tee /dev/fd/5 5>&1 >/dev/null"],
  "dd of=/dev/stdout": ["dd", "if=/dev/stdin", "of=/dev/stdout", "status=none"],
  "cp to the workspace": ["sh", "-c", "cp /dev/stdin file && cat file"],
  "awk": ["awk", "1", "/dev/stdin"],
  "sed w /dev/stdout": ["sed", "-n", "w /dev/stdout", "/dev/stdin"],
  "busybox": ["busybox", "cat", "/dev/stdin"],
  "perl": ["perl", "-pe", "1", "/dev/stdin"],
  "git": ["sh", "-c", "git init -q . && git cat-file blob $(git hash-object -w /dev/stdin)"],
  ...(pythonMissing ? {} : {
    "python": ["python3", "-c", "open('/dev/stdout', 'w').write(open('/dev/stdin').read())"],
  }),
};

describe.each(LEVELS)("in a child with sandbox %s", (sandbox) => {
  test.each(SIZES)("programs copy %i bytes from /dev/stdin", { timeout: 90_000 }, async (bytes) => {
    const member = await start({ sandbox });
    const text = input(bytes);
    const copies = Object.entries(COPIES).map(async ([name, command]) => {
      const words = new URLSearchParams(command.map((word) => ["command", word]));
      const answer = await post(member.url, `/pools/pipeline/pipe?${words}`, text);
      return [name, (await answer.text()) === text];
    });
    expect(Object.fromEntries(await within("all copies", Promise.all(copies), 60_000))).toEqual(
      Object.fromEntries(Object.keys(COPIES).map((name) => [name, true])),
    );
  });

  test("programs read nothing where there is no input", async () => {
    const member = await start({ sandbox });
    for (const stdin of [undefined, ""]) {
      const { exitCode, stdout } = await run(member, { command: ["cat", "/dev/stdin"], stdin });
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
    }
  });

  test("programs write to /dev/stderr, beside files and artifacts too", async () => {
    const member = await start({ sandbox });
    const command = ["sh", "-c", "tee /dev/stderr >file; echo more >>/dev/stderr; cat file"];
    const told = { exitCode: 0, stdout: "in\n", stderr: "in\nmore\n" };
    expect(await run(member, { command, stdin: "in\n" })).toMatchObject(told);
    const packed = await run(member, {
      command,
      stdin: "in\n",
      files: { "given.txt": "x" },
      artifacts: ["file"],
    });
    expect(packed).toMatchObject({ ...told, artifacts: [{ path: "file" }] });
  });

  test.skipIf(!onPath("ffmpeg"))("ffmpeg converts /dev/stdin to /dev/stdout", async () => {
    const member = await start({ sandbox });
    const quiet = "ffmpeg -nostdin -y -v error";
    const sine = `${quiet} -f lavfi -i sine=duration=1 -f wav /dev/stdout`;
    const script = `${sine} | ${quiet} -i /dev/stdin -f wav /dev/stdout | wc -c`;
    const { exitCode, stdout, stderr } = await run(member, { command: ["sh", "-c", script] });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(Number(stdout)).toBeGreaterThan(80_000);
  });

  test("a body, an upload and input sent later are read, too", async () => {
    const { url } = await start({ sandbox });
    const text = input(66_000);
    const piped = await post(url, "/pools/pipeline/pipe?command=cat&command=/dev/stdin", text);
    expect((await piped.text()) === text).toBe(true);

    const form = new FormData();
    form.append("spec", '{"pool":"pipeline","command":["cat","/dev/stdin"]}');
    form.append("stdin", new Blob([text]));
    const upload = await within("it", fetch(`${url}/run`, { method: "POST", body: form }));
    expect(((await upload.json()) as { stdout: string }).stdout === text).toBe(true);

    const placed = await post(url, "/pools/pipeline/children", {
      command: ["sh", "-c", "read -r line; echo $line >/dev/stdout; cat /dev/stdin"],
    });
    const child = `${url}/children/${((await placed.json()) as { id: string }).id}`;
    for (const [path, body] of [
      ["", "one\n"],
      ["", "two\n"],
      ["?end=true", ""],
    ] as const)
      await post(child, `/stdin${path}`, body, { "content-type": "application/octet-stream" });
    const events = streamOf(await within("the events", fetch(`${child}/events`)));
    expect(textOf(await within("the child's end", collect(events)))).toBe("one\ntwo\n");
  });
});

const JAVASCRIPT = `(name) => {
  const fs = require("node:fs");
  fs.writeFileSync("/dev/stdout", "out");
  fs.appendFileSync("/dev/stderr", "err");
  return fs.readFileSync(name, "utf8").length;
}`;
const PYTHON = `
def work(name):
    for path, text in (("/dev/stdout", "out"), ("/dev/stderr", "err")):
        with open(path, "a") as file:
            file.write(text)
    with open(name) as file:
        return len(file.read())
`;

const REUSED = { maxChildren: 1, reuse: true };

describe.each([
  ["node", JAVASCRIPT, undefined],
  ["bun", JAVASCRIPT, bunMissing],
  ["python", PYTHON, pythonMissing],
])("a function of %s", (runtime, source, missing) => {
  test.skipIf(missing).each(LEVELS)("opens what it was given, with sandbox %s", async (sandbox) => {
    const member = await start({
      sandbox,
      pools: { cold: 2, warm: { maxChildren: 2, warm: { [runtime]: 1 } }, reused: REUSED },
    });
    for (const pool of ["cold", "warm", "reused", "reused"]) {
      for (const [stdin, name] of [
        [input(60_000), "/dev/stdin"],
        [input(66_000), "/proc/self/fd/0"],
        [undefined, "/dev/fd/0"],
      ] as const) {
        const spec = { pool, function: { runtime, source, args: [name] }, stdin };
        expect(await run(member, spec), `${pool}: ${name}`).toMatchObject({
          value: stdin?.length ?? 0,
          stdout: "out",
          stderr: "err",
        });
      }
    }
  });
});

test.each(LEVELS)("with sandbox %s, a task opens what it was given", async (sandbox) => {
  const tasks = mkdtempSync(join(tmpdir(), "dpool-tasks-"));
  onTestFinished(() => rmSync(tasks, { recursive: true }));
  writeFileSync(
    join(tasks, "read.mjs"),
    'import fs from "node:fs"; export default () => fs.readFileSync("/dev/stdin", "utf8");',
  );
  const { url } = await start({ sandbox, tasks });
  const spec = { pool: "pipeline", task: { name: "read" }, stdin: "in\n" };
  expect(lastOf(await callEvents(url, "/call", spec), "result").value).toBe("in\n");
});
