/** The view and the rights of a child inside the sandbox, and its traces after its end. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { CommandRuntime } from "../../server/runtimes/command.ts";
import { StartQueue } from "../../server/runtimes/functions/start-queue.ts";
import { PreparedSandboxes } from "../../server/runtimes/prepared-sandboxes.ts";
import { NoSandbox } from "../../server/sandbox/none.ts";
import type { Sandbox, SandboxedProcess } from "../../server/sandbox/sandbox.ts";
import {
  callEvents,
  idle,
  lastOf,
  post,
  startOne,
  streamOf,
  textOf,
  until,
  within,
} from "../helpers/member.ts";
import {
  confinement,
  HAS_BUBBLEWRAP,
  open,
  openBubblewrap as openNew,
  starting,
  WAYS,
} from "../helpers/sandbox.ts";

const SECRET = "kept-by-the-server";

/** A duration for `sleep` that identifies the processes of one test. */
let marks = 0;
const mark = () => `86${process.pid}.${Date.now() % 100_000}${marks++}`;

/** The processes of this machine with the mark in their command lines. */
function marked(by: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(by);
      } catch {
        return false;
      }
    });
}

/** Kills the processes that a failed test left. */
function sweep(by: string): void {
  onTestFinished(() => {
    for (const pid of marked(by))
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended in this moment.
      }
  });
}

const launch = async (sandbox: Sandbox, script: string) => {
  const child = await sandbox.launch(
    {
      argv: ["sh", "-c", script],
      env: { GIVEN: "yes" },
      readOnly: [],
      channel: false,
      progress: true,
      stdin: false,
    },
    confinement(),
  );
  child.progress?.resume();
  return child;
};

/** Runs a shell script in the sandbox to its end. */
async function run(sandbox: Sandbox, script: string) {
  const child = await launch(sandbox, script);
  const [stdout, stderr, exit] = await within(
    "the child's end",
    Promise.all([text(child.stdout), text(child.stderr), child.exited]),
  );
  return { stdout, stderr, ...exit };
}

/** Waits for the child's first line. */
async function firstLine(child: SandboxedProcess): Promise<string> {
  const line = async () => {
    let seen = "";
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      seen += chunk;
      if (seen.includes("\n")) break;
    }
    return seen;
  };
  return (await within("the child's first line", line())).trim();
}

const skipped = HAS_BUBBLEWRAP ? "" : " (skipped: it is missing or not allowed)";

describe.skipIf(!HAS_BUBBLEWRAP).each(WAYS)(`bubblewrap, %s${skipped}`, (way) => {
  const openBubblewrap = () => starting(way, openNew());

  test("there is no network but the child's own loopback", async () => {
    const { stdout } = await run(openBubblewrap(), "cat /proc/net/dev");
    const interfaces = stdout
      .split("\n")
      .filter((line) => line.includes(":"))
      .map((line) => line.split(":")[0]?.trim());
    expect(interfaces).toEqual(["lo"]);
  });

  test("the system's folders cannot be written", async () => {
    const folders = ["/", "/usr", "/usr/bin", "/etc", "/dev", "/proc", "/run"];
    const { stdout } = await run(
      openBubblewrap(),
      `for each in ${folders.join(" ")}; do ` +
        `( : > $each/intruder ) 2>/dev/null && echo "wrote $each" || echo refused; done`,
    );
    expect(stdout).toBe("refused\n".repeat(folders.length));
  });

  test("the workspace is empty, writable, private, and the child's working folder", async () => {
    const sandbox = openBubblewrap();
    for (let child = 0; child < 2; child++) {
      const { stdout } = await run(
        sandbox,
        "pwd; ls -A; echo data > file && cat file; stat -c %a .; echo $HOME; ls -A /tmp",
      );
      expect(stdout).toBe("/work\ndata\n700\n/work\n");
    }
  });

  test("the server's environment is invisible, also in the first process", async () => {
    process.env.SECRET_FOR_TEST = SECRET;
    onTestFinished(() => {
      delete process.env.SECRET_FOR_TEST;
    });
    const { stdout } = await run(
      openBubblewrap(),
      "env; for each in /proc/[0-9]*; do tr '\\0' '\\n' <$each/environ; tr '\\0' " +
        "'\\n' <$each/cmdline; done",
    );
    expect(stdout).toContain("GIVEN=yes");
    expect(stdout).toContain("HOME=/work");
    expect(stdout).not.toContain("SECRET_FOR_TEST");
    expect(stdout).not.toContain(SECRET);
    const names = (await run(openBubblewrap(), "env")).stdout
      .split("\n")
      .map((line) => line.split("=")[0] ?? "");
    expect(names.filter((name) => name !== "").toSorted()).toEqual([
      "GIVEN",
      "GOMEMLIMIT",
      "HOME",
      "LANG",
      "LOGNAME",
      "NODE_OPTIONS",
      "PATH",
      "POOL_CPUS",
      "POOL_MEMORY_BYTES",
      "PWD",
      "TMPDIR",
      "USER",
    ]);
  });

  test("the member's temporary folder may be closed to the child's user", async () => {
    const closed = mkdtempSync(join(tmpdir(), "dpool-closed-"));
    const before = process.env.TMPDIR;
    process.env.TMPDIR = closed;
    onTestFinished(() => {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
      rmSync(closed, { recursive: true });
    });
    expect((await run(openBubblewrap(), "whoami")).stdout).toBe("nobody\n");
  });

  test("only the child's own processes are visible", async () => {
    const { stdout } = await run(openBubblewrap(), "ls -d /proc/[0-9]* | wc -l");
    expect(Number(stdout)).toBeLessThanOrEqual(6);
  });

  test("only the host's system files are visible", async () => {
    const { stdout } = await run(
      openBubblewrap(),
      "ls -A /; ls -A /root /home /var /opt /srv /etc/ssh /etc/shadow /etc/hostname 2>/dev/null",
    );
    const names = stdout.split("\n").filter((name) => name !== "");
    expect(
      names.filter(
        (name) =>
          ![
            "bin",
            "dev",
            "etc",
            "lib",
            "lib32",
            "lib64",
            "libx32",
            "proc",
            "run",
            "sbin",
            // Its own control group.
            "sys",
            "tmp",
            "usr",
            "work",
          ].includes(name),
      ),
    ).toEqual([]);
    const own = await run(
      openBubblewrap(),
      `test -e ${JSON.stringify(import.meta.dirname)} && echo seen || echo hidden`,
    );
    expect(own.stdout).toBe("hidden\n");
  });

  test("the child has no rights: its own user, no capabilities, no user namespace", async () => {
    const { stdout } = await run(
      openBubblewrap(),
      "id -u; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; " +
        "unshare -U true 2>/dev/null && echo more || echo none; ulimit -c",
    );
    expect(stdout).toBe("65534\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nnone\n0\n");
  });

  test("the child inherits only the standard descriptors, and 3 for progress", async () => {
    const { stdout } = await run(openBubblewrap(), "ls -l /proc/$$/fd");
    const foreign = [...stdout.matchAll(/ (\d+) -> (.*)$/gm)]
      .map(([, fd, target]) => [fd, target])
      // Shells keep their script at 10 and 255. A descriptor that the member inherited is
      // /dev/null.
      .filter(
        ([fd, target]) =>
          Number(fd) > 3 && !["10", "255"].includes(fd ?? "") && !target?.endsWith("/null"),
      );
    expect(foreign).toEqual([]);
  });

  test("daemons end with the child", async () => {
    const by = mark();
    sweep(by);
    const script =
      `setsid sh -c 'echo up >/work/up; exec sleep ${by}' </dev/null >/dev/null ` +
      "2>&1 & while [ ! -e /work/up ]; do :; done; echo done";
    const { stdout, exitCode } = await run(openBubblewrap(), script);
    expect([stdout, exitCode]).toEqual(["done\n", 0]);
    expect(marked(`sleep\0${by}`)).toEqual([]);
  });

  test("a sandbox that cannot be set up is not mistaken for a program that failed", async () => {
    const sandbox = openBubblewrap();
    const unusable: Sandbox = {
      ...{ level: sandbox.level, folder: sandbox.folder, close: () => sandbox.close() },
      startProblem: (cause) => sandbox.startProblem(cause),
      launch: (program, how) =>
        sandbox.launch({ ...program, readOnly: [{ from: "/nonexistent", to: "/x" }] }, how),
    };
    const startQueue = new StartQueue();
    const pool = { sandbox, confinement: confinement(), size: 0, startQueue, log: () => {} };
    const runtime = new CommandRuntime(new PreparedSandboxes(pool), startQueue);
    const { process, outcome } = await runtime.start(
      {
        spec: { command: ["true"], outputEncoding: "text", waitMs: 0, link: false },
        call: undefined,
        context: { member: "m", pool: "p", childId: "c", deadline: null },
        client: "127.0.0.1",
        onProgress: () => {},
      },
      { sandbox: unusable, confinement: confinement(), files: undefined, artifacts: [] },
    );
    process.stdout.resume();
    process.stderr.resume();
    expect(await within("the sandbox's end", process.exited)).toMatchObject({ started: false });
    expect(await within("the outcome", outcome)).toMatchObject({ kind: "unavailable" });
  });

  test("TERM reaches the program itself", async () => {
    const child = await launch(
      openBubblewrap(),
      "trap 'echo heard; exit 5' TERM; echo up; while :; do sleep 0.05; done",
    );
    expect(await firstLine(child)).toBe("up");
    await child.signal("SIGTERM");
    expect(await within("the rest of the output", text(child.stdout))).toBe("heard\n");
    expect(await within("the child's end", child.exited)).toMatchObject({
      exitCode: 5,
      signal: null,
      started: true,
    });
  });

  test("a program that a signal ended is reported with the signal", async () => {
    expect(await run(openBubblewrap(), "kill -USR1 $$")).toMatchObject({
      exitCode: 138,
      signal: "SIGUSR1",
    });
  });

  test("kill ends every process, also one that ignores signals", async () => {
    const by = mark();
    sweep(by);
    const script =
      `trap '' TERM INT HUP; setsid sleep ${by} & sleep ${by} & echo up; while ` +
      ":; do sleep 0.05; done";
    const child = await launch(openBubblewrap(), script);
    expect(await firstLine(child)).toBe("up");
    child.kill();
    await within("the child's end", child.exited);
    await until("nothing of it to be left", () => marked(`sleep\0${by}`).length === 0);
    child.stdout.destroy();
    child.stderr.destroy();
  });

  test("children of several members at once do not see each other", async () => {
    const sandbox = openBubblewrap();
    const outputs = await Promise.all(
      Array.from({ length: 5 }, (_, index) =>
        run(sandbox, `echo ${index} > mine; ls; cat mine; ls -d /proc/[0-9]* | wc -l`),
      ),
    );
    for (const [index, { stdout }] of outputs.entries()) {
      expect(stdout).toMatch(new RegExp(`^mine\n${index}\n[1-6]\n$`));
    }
  });
});

describe("without a sandbox", () => {
  const OFF = { sandbox: "off", graceMs: 200 } as const;

  test("commands and functions run, and children report the level", async () => {
    const member = await startOne({ ...OFF, path: process.env.PATH });
    expect(member.sandbox).toBe("none");
    const events = await callEvents(member.url, "/call", {
      pool: "pipeline",
      command: ["sh", "-c", "pwd; ls -A; echo $HOME; echo err >/dev/stderr; exit 3"],
    });
    const [folder, home] = textOf(events).trim().split("\n");
    expect(home).toBe(folder);
    expect(textOf(events, "stderr")).toBe("err\n");
    expect(lastOf(events, "result").exitCode).toBe(3);
    const value = await callEvents(member.url, "/call", {
      pool: "pipeline",
      function: { source: "async (a, b, { member }) => ({ sum: a + b, member })", args: [1, 2] },
    });
    expect(lastOf(value, "result").value).toEqual({ sum: 3, member: "m1" });
    expect(
      lastOf(
        await callEvents(member.url, "/call", { pool: "pipeline", command: ["no-such-program"] }),
        "result",
      ).exitCode,
    ).toBe(127);
    const { children } = (await (await fetch(`${member.url}/children`)).json()) as {
      children: { sandbox: string }[];
    };
    expect(children.map(({ sandbox }) => sandbox)).toEqual(["none", "none", "none"]);
    await idle(member);
  });

  test("the server's environment stays with the server", async () => {
    process.env.SECRET_FOR_TEST = SECRET;
    onTestFinished(() => {
      delete process.env.SECRET_FOR_TEST;
    });
    const { stdout } = await run(open(new NoSandbox("/usr/bin:/bin")), "env");
    expect(stdout).toContain("GIVEN=yes");
    expect(stdout).not.toContain(SECRET);
  });

  test("the workspace is removed with the child", async () => {
    const { stdout } = await run(open(new NoSandbox("/usr/bin:/bin")), "echo data > file; pwd");
    await until(
      "the workspace to be gone",
      () => !readdirSync("/tmp").includes(stdout.trim().split("/").at(-1) ?? ""),
    );
  });

  test("stopping ends the whole group", async () => {
    const by = mark();
    sweep(by);
    const member = await startOne(OFF);
    const response = await post(member.url, "/call", {
      pool: "pipeline",
      command: ["sh", "-c", `trap '' TERM; sleep ${by} & echo up; while :; do sleep 0.05; done`],
    });
    const stream = streamOf(response);
    const placed = (await within("placed", stream.next())).value;
    await within("the output", stream.next());
    if (placed?.type !== "placed") throw new Error("expected placed");
    await fetch(`${member.url}/children/${placed.child.id}`, { method: "DELETE" });
    let last: unknown;
    const read = async () => {
      for await (const event of stream) last = event;
    };
    await within("the terminal event", read());
    expect(last).toMatchObject({ type: "failed", problem: { code: "cancelled" } });
    await until("nothing of the group to be left", () => marked(`sleep\0${by}`).length === 0);
    await idle(member);
  });

  test("a process that a command leaves in its group ends with it", async () => {
    const by = mark();
    sweep(by);
    const member = await startOne(OFF);
    const response = await post(member.url, "/call", {
      pool: "pipeline",
      command: ["sh", "-c", `sleep ${by} & echo done`],
    });
    const events: Parameters<typeof lastOf>[0][number][] = [];
    const read = async () => {
      for await (const event of streamOf(response)) events.push(event);
    };
    await within(
      "the terminal event, although a process left behind holds the output open",
      read(),
      5_000,
    ).catch((error: unknown) => {
      // Ends the member, which nothing else would.
      for (const pid of marked(`sleep\0${by}`)) process.kill(pid, "SIGKILL");
      throw error;
    });
    expect(lastOf(events, "result").exitCode).toBe(0);
    expect(marked(`sleep\0${by}`)).toEqual([]);
  });
});
