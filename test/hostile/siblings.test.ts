/** Attacks on other processes: the server, sibling children, and the programs of the sandbox. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { lastOf, post, streamOf, textOf, within } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

const fixture = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url)), "utf8");
const missing = hostileMissing ?? (onPath("perl") ? undefined : "perl is not installed");
const { ESRCH, EPERM } = constants.errno;
/** System calls without a name in perl; arm64 has other numbers. */
const X64 = process.arch === "x64";
const [PTRACE, READV, MQ_OPEN] = X64 ? [101, 310, 240] : [117, 270, 180];

/** Tries each way to reach the processes with the given pids. */
const REACH = `
for my $pid (@ARGV) {
  my @errno;
  for my $signal (0, 9, 15, 19) { $! = 0; kill $signal, $pid; push @errno, "kill " . (0 + $!); }
  $! = 0; kill -9, $pid; push @errno, "group " . (0 + $!);
  $! = 0; syscall(${PTRACE}, 16, 0 + $pid, 0, 0); push @errno, "ptrace " . (0 + $!);
  $! = 0; syscall(${READV}, 0 + $pid, 0, 0, 0, 0, 0); push @errno, "read " . (0 + $!);
  push @errno, "mem" if open(my $memory, "+<", "/proc/$pid/mem");
  print "$pid: @errno\\n";
}`;

describe.skipIf(missing)(`siblings${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("the server and a process of the host cannot be reached by their pids", async () => {
    const { attack } = await startAttacked();
    const other = spawn("sleep", ["600"], { stdio: "ignore" });
    const ended = once(other, "exit");
    onTestFinished(async () => {
      other.kill("SIGKILL");
      await within("the other process's end", ended);
    });
    await once(other, "spawn");
    // Pids of the host that none of the child's few processes has.
    const pids = [process.pid, other.pid as number, process.ppid].filter((pid) => pid > 100);
    const events = await attack({ command: ["perl", "-e", REACH, ...pids.map(String)] });
    const [gone, refused] = [ESRCH, EPERM];
    const expected =
      `kill ${gone} kill ${gone} kill ${gone} kill ${gone} group ${gone} ptrace ` +
      `${refused} read ${refused}`;
    expect(textOf(events).trim().split("\n")).toEqual(pids.map((pid) => `${pid}: ${expected}`));
    expect([other.exitCode, other.signalCode]).toEqual([null, null]);
  });

  test("a signal to every pid and group ends at most the child's own processes", async () => {
    const { script } = await startAttacked();
    const everyNumber = await script(
      "sleep 600 & perl -e 'for my $pid (2 .. 4194304) { kill 9, $pid if $pid != " +
        `$$; kill -9, $pid if $pid != getpgrp } print "over\\n"'`,
    );
    // The shell that waits for the attack is one of its targets.
    expect(lastOf(everyNumber, "failed").problem.code).toBe("worker_crashed");
    const everything = await script("sleep 600 & kill -KILL -1; echo over; jobs");
    expect(textOf(everything)).toMatch(/^over\n/);
    expect(lastOf(everything, "result").exitCode).toBe(0);
    const ownGroup = await script("sleep 600 & kill -KILL 0; echo over");
    expect(lastOf(ownGroup, "failed").problem.code).toBe("worker_crashed");
    const first = await script(
      "for signal in HUP INT QUIT TERM KILL STOP USR1 SEGV; do kill -$signal 1; done; echo over",
    );
    expect(textOf(first)).toBe("over\n");
  });

  test("the memory of what holds a child cannot be overwritten", async () => {
    const { script } = await startAttacked();
    for (const pid of ["1", "self"]) {
      const events = await script(
        `perl -e 'open(my $memory, "+<", "/proc/${pid}/mem") or die "mem: $!\n"'; echo over`,
      );
      expect(textOf(events, "stderr")).toBe("mem: Read-only file system\n");
      expect(textOf(events)).toBe("over\n");
    }
    const killed = await script(
      "kill -9 $(ls /proc | grep '^[0-9]*$' | grep -vx $$) 2>/dev/null; echo over",
    );
    expect(textOf(killed)).toBe("over\n");
  });

  test("named memory, semaphores and queues are the child's own", async () => {
    const key = String(0x4b000000 + process.pid);
    const share = (what: string, ...more: string[]) => [
      "perl",
      "-e",
      fixture("share.pl"),
      what,
      key,
      String(MQ_OPEN),
      ...more,
    ];
    const host = (what: string) => execFileSync("perl", share(what).slice(1), { encoding: "utf8" });
    const THERE = "memory=there messages=there queue=there semaphores=there\n";
    const NONE = "memory=none messages=none queue=none semaphores=none\n";

    const { member, attack } = await startAttacked({ pools: { pipeline: 3, sibling: 2 } });
    const holder = streamOf(
      await post(member.url, "/call", { pool: "sibling", command: share("make", "hold") }),
    );
    let made = "";
    while (!made.endsWith("\n")) {
      const { value } = await within("the sibling's word", holder.next());
      if (value?.type === "stdout") made += value.text;
    }
    expect(made).toBe(THERE);
    expect(textOf(await attack({ command: share("find") })), "a sibling's").toBe(NONE);
    expect(host("find"), "the sibling's, from the host").toBe(NONE);
    await holder.return();

    expect(host("make")).toBe(THERE);
    onTestFinished(() => {
      host("remove");
    });
    expect(textOf(await attack({ command: share("find") })), "the host's").toBe(NONE);
  });

  test("the next child does not find files in the writable folders", async () => {
    const { script } = await startAttacked();
    const leave =
      "for place in /work /tmp /dev/shm; do echo mine >$place/left || exit 1; ln " +
      "-s $place/left $place/link; mkfifo $place/pipe; mkdir -p $place/deep/er; " +
      "done; echo left";
    expect(textOf(await script(leave))).toBe("left\n");
    expect(textOf(await script("ls -A /work /tmp /dev/shm"))).toBe(
      "/dev/shm:\n\n/tmp:\n\n/work:\n",
    );
  });
});
