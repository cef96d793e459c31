/** The lines that tell a waiting shell its program, as shells read them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { canPrepare, preparedCall } from "../../server/sandbox/prepared.ts";
import type { Program, Sandbox } from "../../server/sandbox/sandbox.ts";
import { onPath } from "../helpers/programs.ts";
import { confinement } from "../helpers/sandbox.ts";

const sandbox = { level: "full" } as Sandbox;
const pool = { sandbox, confinement: confinement({ limits: { cpus: 1.5 } }) };
const PROGRAM: Program = {
  argv: ["true"],
  env: {},
  readOnly: [],
  channel: false,
  progress: true,
  stdin: true,
};

const callOf = (program: Partial<Program>, limits = {}) =>
  preparedCall(
    { ...PROGRAM, ...program },
    { ...pool.confinement, limits: { ...pool.confinement.limits, ...limits } },
    pool,
  );

/** Every character that one byte can be, and some of more bytes. */
const BYTES = Array.from({ length: 255 }, (_, code) => String.fromCharCode(code + 1)).join("");
const WORDS = [
  "",
  " ",
  "-n",
  "'",
  "'\\''",
  "$(id)`id`$HOME\\",
  "a\n\n b\r\n",
  BYTES,
  "äöü 語 🚀",
  "*",
];

describe.each([["dash"], ["bash", "--posix"], ["busybox", "sh"]])("%s", (...shell) => {
  test.skipIf(!onPath(shell[0] as string))("reads each word as it is", () => {
    const values = Object.fromEntries(WORDS.map((word, index) => [`V${index}`, word]));
    const env = { ...values, "odd.name": BYTES, PATH: process.env.PATH ?? "" };
    const print = [
      process.execPath,
      "-e",
      "console.log(JSON.stringify([process.argv, process.env]))",
    ];
    const { script = "" } = callOf({ argv: [...print, "--", ...WORDS], env }) ?? {};
    const folder = mkdtempSync(join(tmpdir(), "dpool-call-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const call = join(folder, "call");
    writeFileSync(call, script);
    const [file = "", ...options] = shell;
    const reader = `. ${call}; shift; exec "$@"`;
    const { stdout, stderr } = spawnSync(file, [...options, "-c", reader, "sh"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH },
    });
    expect(stderr.toString()).toBe("");
    const [argv, seen] = JSON.parse(stdout.toString());
    expect(argv.slice(1)).toEqual(WORDS);
    expect(seen).toMatchObject({ ...values, "odd.name": BYTES });
  });
});

test.each([
  [{}, true],
  [{ network: "host" as const }, true],
  [{ root: "/srv/root" }, true],
  [{ root: "/srv/root", limits: { cpus: 1 } }, false],
  [{ env: { IFS: "x" } }, false],
  [{ network: { allow: ["files.example:443"] } }, false],
])("a pool with %j has sandboxes made beforehand: %s", (options, can) => {
  expect(canPrepare({ sandbox, confinement: confinement(options) })).toBe(can);
  const none = { level: "none" } as Sandbox;
  expect(canPrepare({ sandbox: none, confinement: confinement(options) })).toBe(false);
});

test("a call has lines for the limits that it tightens, and for these alone", () => {
  expect(callOf({})?.script).not.toContain("ulimit");
  const { script } = callOf({}, { openFiles: 64, cpuMs: 1_500, processes: 7 }) ?? {};
  expect(script).toContain(
    "ulimit -n 64 || exit 126\nulimit -t 2 || exit 126\nset -- '7' 'true'\n",
  );
  expect(callOf({ stdin: false })?.script).toContain("\nexec </dev/null\n");
});

test.each<[string, Partial<Program>, object?]>([
  ["files", { files: process.stdin }],
  ["artifacts", { artifacts: ["*"] }],
  ["a terminal", { terminal: { rows: 1, columns: 1 } }],
  ["a bind", { readOnly: [{ from: "/usr", to: "/x" }] }],
  ["a channel", { channel: true, progress: false }],
  ["less memory", {}, { memoryBytes: 1 }],
  ["a smaller workspace", {}, { workspaceBytes: 1 }],
  ["less shared memory", {}, { shmBytes: 1 }],
  ["a variable of the shell's own", { env: { IFS: "x" } }],
  ["more than 16,384 characters", { argv: ["echo", "x".repeat(16_384)] }],
])("a call with %s needs a sandbox of its own", (_, program, limits) => {
  expect(callOf(program, limits)).toBeUndefined();
});
