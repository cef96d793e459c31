/** Commands in sandboxes made beforehand: the same as in new ones, whatever they ask for. */
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Limits } from "../../openapi/schemas/limits.ts";
import { StartQueue } from "../../server/runtimes/functions/start-queue.ts";
import { PreparedSandboxes } from "../../server/runtimes/prepared-sandboxes.ts";
import type { Bubblewrap } from "../../server/sandbox/bubblewrap.ts";
import { tightened } from "../../server/sandbox/confinement.ts";
import { preparedCall, prepareSandbox } from "../../server/sandbox/prepared.ts";
import type { Program } from "../../server/sandbox/sandbox.ts";
import { survivors } from "../helpers/hostile.ts";
import { until, within } from "../helpers/member.ts";
import { confinement, HAS_BUBBLEWRAP, openBubblewrap } from "../helpers/sandbox.ts";

const PROGRAM: Program = {
  argv: ["true"],
  env: {},
  readOnly: [],
  channel: false,
  progress: true,
  stdin: false,
};

interface Case {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly limits?: Limits;
}

const shell = (script: string, ...args: string[]) => ["sh", "-c", script, "name", ...args];

/** Without numbers that differ from one process to the next. */
const VIEW = `
cat /proc/self/limits
for fd in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$fd; done | sed 's/[0-9]//g'
grep -E '^(Name|Umask|Uid|Gid|Groups|Sig|Shd|Cap|NoNew|Seccomp|Cpus|Mems)' /proc/self/status
cut -d ' ' -f 4- /proc/self/mountinfo | sed 's/etc-[0-9]*//; s/\\/[0-9]* / /; s/shared:[0-9]*//' |
  sed 's/\\([ug]id=\\)[0-9]*/\\1/g'
cat /proc/self/oom_score_adj /proc/self/timerslack_ns /proc/sys/kernel/hostname
ls -ld . /tmp /dev/shm | tr -s ' ' | cut -d ' ' -f 1-5
pwd; id; ps -o pgid= -p $$ 2>/dev/null; tr '\\0' '\\n' </proc/1/environ`;

const CASES: Readonly<Record<string, Case>> = {
  "variables of each kind": {
    argv: ["sh", "-c", "env | sort"],
    env: { GIVEN: "it's\n$HOME", PATH: "/usr/bin", "spring.profile": "odd", EMPTY: "" },
  },
  "limits, descriptors, rights and mounts": { argv: shell(VIEW) },
  "tightened limits": {
    argv: shell("ulimit -a; nproc; grep Cpus_allowed: /proc/self/status; env | sort"),
    limits: { openFiles: 100, cpuMs: 5_000, processes: 50, cpus: 1.5 },
  },
  arguments: { argv: shell('for a; do echo "<$a>"; done', "a b", "it's", "", "-n", "\n", "$x") },
  "a program that does not exist": { argv: ["no-such-program", "x"] },
  "a file that is no program": { argv: ["/etc/passwd"] },
  "a program with a dash": { argv: ["-x"] },
  "an exit code": { argv: shell("echo out; echo err >&2; exit 7") },
  "a signal": { argv: shell("kill -USR1 $$") },
  "input, opened anew": { argv: shell("head -c 2; cat /dev/stdin"), stdin: "in it" },
  "no input": { argv: shell("cat; cat /dev/stdin; cat /proc/self/fd/0; readlink /proc/$$/fd/0") },
  "output, opened anew": { argv: shell("echo a >/dev/stdout; echo b >/dev/stderr") },
  progress: { argv: shell("echo 3/10 half >&3") },
};

/** Runs a program in a new sandbox or in one made beforehand. */
async function run(sandbox: Bubblewrap, each: Case, isPrepared: boolean) {
  const own = confinement();
  const how = { ...own, limits: tightened(own.limits, each.limits) };
  const program = { ...PROGRAM, ...each, env: each.env ?? {}, stdin: each.stdin !== undefined };
  const pool = { sandbox, confinement: own };
  const call = preparedCall(program, how, pool);
  if (!call) throw new Error("expected a call that a prepared sandbox takes");
  const child = isPrepared
    ? (await prepareSandbox(pool)).run(call)
    : await sandbox.launch(program, how);
  child.stdin?.end(each.stdin);
  const [stdout, stderr, progress, { exitCode, signal, started, exceeded }] = await within(
    "the program's end",
    Promise.all([
      text(child.stdout),
      text(child.stderr),
      child.progress ? text(child.progress) : undefined,
      child.exited,
    ]),
  );
  return { stdout, stderr, progress, exitCode, signal, started, exceeded, hasStdin: !!child.stdin };
}

/** A pool of sandboxes that wait, closed with the test. */
function waiting(sandbox: Bubblewrap, size: number) {
  const log: string[] = [];
  const options = { sandbox, confinement: confinement(), size, startQueue: new StartQueue() };
  const pool = new PreparedSandboxes({ ...options, log: (message) => log.push(message) });
  onTestFinished(() => pool.close());
  return { pool, log, isFull: () => until("the sandboxes to wait", () => pool.idle === size) };
}

describe.skipIf(!HAS_BUBBLEWRAP)("a sandbox made beforehand", () => {
  test("shows a program what a new one shows", async () => {
    const sandbox = openBubblewrap();
    for (const [name, each] of Object.entries(CASES)) {
      const [cold, prepared] = await Promise.all([
        run(sandbox, each, false),
        run(sandbox, each, true),
      ]);
      expect(prepared, name).toEqual(cold);
    }
  });

  test("takes one call, and another one replaces it", async () => {
    const { pool, isFull } = waiting(openBubblewrap(), 1);
    await isFull();
    const child = pool.run({ ...PROGRAM, argv: ["echo", "well"] }, confinement());
    expect(pool.run(PROGRAM, confinement())).toBeUndefined();
    if (!child) throw new Error("expected a sandbox that waits");
    child.stderr.resume();
    child.progress?.resume();
    expect(await within("its output", text(child.stdout))).toBe("well\n");
    await isFull();
  });

  test("does not take what needs a sandbox of its own, and waits on", async () => {
    const { pool, isFull } = waiting(openBubblewrap(), 1);
    await isFull();
    const terminal = { rows: 1, columns: 1 };
    expect(pool.run({ ...PROGRAM, terminal }, confinement())).toBeUndefined();
    expect(pool.idle).toBe(1);
  });

  test("is replaced when it ends, and leaves nothing when its pool closes", async () => {
    const sandbox = openBubblewrap();
    const prepared = await prepareSandbox({ sandbox, confinement: confinement() });
    prepared.process.kill();
    await within("its end", prepared.process.exited);
    const call = preparedCall(PROGRAM, confinement(), { sandbox, confinement: confinement() });
    if (!call) throw new Error("expected a call that a prepared sandbox takes");
    expect(() => prepared.run(call)).toThrow(/it has ended/);
    expect(prepared.process.stdout.destroyed).toBe(true);
    expect(prepared.process.stdin?.destroyed).toBe(true);
    const { pool, log, isFull } = waiting(sandbox, 2);
    await isFull();
    await pool.close();
    expect([pool.idle, survivors(), log]).toEqual([0, [], []]);
  });
});
