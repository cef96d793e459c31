/**
 * Attacks for more rights: namespaces, setuid programs, the kernel's rarer calls, priorities,
 * limits.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { ABSENT, type Numbers, REFUSED } from "../../server/sandbox/seccomp.ts";
import { attemptScript, each, outcomesOf } from "../helpers/attempts.ts";
import { BOTH_WAYS, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { callEvents, lastOf, post, startOne, streamOf, textOf, within } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

const CALLS = readFileSync(fileURLToPath(new URL("../fixtures/calls.pl", import.meta.url)), "utf8");
const missing = hostileMissing ?? (onPath("perl") ? undefined : "perl is not installed");
const { EPERM, ENOSYS } = constants.errno;
const column = process.arch === "x64" ? 0 : 1;

/** Calls that the filter allows, and that fail because the child has no rights. By architecture. */
const UNPRIVILEGED: Readonly<
  Record<string, readonly [x64: number, arm64: number, ...args: (number | string)[]]>
> = {
  // SCHED_FIFO and SCHED_RR of this process, with a priority of 1 in memory.
  sched_setscheduler_fifo: [144, 119, 0, 1, "\u0001\u0000\u0000"],
  sched_setscheduler_rr: [144, 119, 0, 2, "\u0001\u0000\u0000"],
  // IOPRIO_CLASS_RT of this process.
  ioprio_set: [251, 30, 1, 0, 1 << 13],
  setpriority: [141, 140, 0, 0, -20],
  setuid: [105, 146, 0],
  setgid: [106, 144, 0],
  setgroups: [116, 159, 0, 0],
  setresuid: [117, 147, 0, 0, 0],
  mlockall: [151, 230, 3],
  // A character device, and the disk's number.
  mknodat: [259, 33, -100, "/work/device", 0o20666, 254 << 8],
  vserver_quota: [179, 60, 0, "/dev/vda", 0, 0],
  // PR_CAPBSET_READ gives nothing; PR_CAP_AMBIENT_RAISE of CAP_SYS_ADMIN.
  prctl_ambient: [157, 167, 47, 2, 21, 0, 0],
  // Steals a capability by PR_SET_SECUREBITS.
  prctl_securebits: [157, 167, 28, 1, 0, 0, 0],
};

describe.skipIf(missing)(`privileges${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("each call of the filter's lists is refused also in a member's child", async () => {
    const { attack, inBoth } = await startAttacked({ pools: BOTH_WAYS });
    const listed = Object.entries<Numbers>({ ...REFUSED, ...ABSENT }).filter(
      ([, numbers]) => numbers[column] !== null,
    );
    const calls = listed.map(([name, numbers]) => `${name}:${numbers[column]},-1,-1,-1,-1,-1`);
    const expected = listed.map(([name]) => `${name} ${name in ABSENT ? ENOSYS : EPERM}`);
    for (const events of await inBoth({ command: ["perl", "-e", CALLS, ...calls] }))
      expect(textOf(events).trim().split("\n")).toEqual(expected);
    // Without the filter, the calls would have had an effect.
    const telling = ["unshare", "keyctl", "ptrace"].map(
      (name) => `${name}:${REFUSED[name]?.[column]},0,-3,0`,
    );
    expect(textOf(await attack({ command: ["perl", "-e", CALLS, ...telling] }))).toBe(
      `unshare ${EPERM}\nkeyctl ${EPERM}\nptrace ${EPERM}\n`,
    );
  });

  test.skipIf(column !== 0)(
    "calls by the numbers of another architecture are refused, or end the child",
    async () => {
      const { attack } = await startAttacked();
      const X32 = 0x40000000;
      const calls = [
        `getpid:${X32 + 39}`,
        `unshare:${X32 + 272},268435456`,
        `ptrace:${X32 + 521},0,0,0,0`,
      ];
      expect(textOf(await attack({ command: ["perl", "-e", CALLS, ...calls] }))).toBe(
        `getpid ${EPERM}\nunshare ${EPERM}\nptrace ${EPERM}\n`,
      );
      // A program of one page: getpid by `int 0x80` (mov eax, 20), then exit(0) by `syscall`.
      const elf = `
      my $code = pack("H*", "b814000000cd8031ffb83c0000000f05");
      my $all = pack("H*", "7f454c46020101" . "00" x 9) . pack("SSLQQQLSSSSSS", 2, 62, 1, \
0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        . pack("LLQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + length $code, 120 + length $code, \
4096) . $code;
      open(my $file, ">", "/work/int80"); print $file $all; close $file; chmod 0755, \
"/work/int80"; exec "/work/int80"`;
      const events = await attack({ command: ["perl", "-e", elf] });
      expect(lastOf(events, "failed")).toMatchObject({
        problem: { code: "worker_crashed" },
        exitCode: 128 + constants.signals.SIGSYS,
      });
    },
  );

  test("calls that need rights fail", async () => {
    const { inBoth } = await startAttacked({ pools: BOTH_WAYS });
    const calls = Object.entries(UNPRIVILEGED).map(
      ([name, [x64, arm64, ...args]]) =>
        `${name}:${[column === 0 ? x64 : arm64, ...args].join(",")}`,
    );
    // An argument cannot contain a NUL: the priority is one byte, which the string's end completes.
    const given = calls.map((call) => call.replaceAll("\0", ""));
    for (const events of await inBoth({ command: ["perl", "-e", CALLS, ...given] })) {
      const lines = textOf(events).trim().split("\n");
      const errnos = Object.fromEntries(lines.map((line) => line.split(" ") as [string, string]));
      expect(Object.keys(errnos)).toEqual(Object.keys(UNPRIVILEGED));
      expect(Object.entries(errnos).filter(([, errno]) => errno === "0")).toEqual([]);
    }
  });

  test("programs that give rights fail", async () => {
    const { script, inBoth } = await startAttacked({ pools: BOTH_WAYS });
    const setuid = execFileSync(
      "find",
      ["/usr/bin", "/usr/sbin", "/usr/lib", "-xdev", "-perm", "/6000", "-type", "f"],
      { encoding: "utf8" },
    )
      .trim()
      .split("\n")
      .filter(Boolean);
    expect(setuid.length).toBeGreaterThan(0);
    // The owner of these programs has no uid inside, and their setuid bit no effect.
    const watch =
      `for program in ${setuid.join(" ")}; do stat -c %u "$program"; done | sort ` +
      "-u; grep NoNewPrivs /proc/self/status";
    expect(textOf(await script(watch))).toBe("65534\nNoNewPrivs:\t1\n");
    const attempts = {
      su: "su -c id || su root -c id",
      sudo: "sudo -n id",
      mount:
        "mount -t tmpfs none /work || mount --bind /usr /work || mount -o " +
        "remount,rw / || mount -t proc proc /work",
      umount: "umount /usr || umount -l /proc || umount /dev",
      passwd: "passwd -d root || chsh -s /bin/sh root || newgrp root </dev/null",
      unshare:
        "unshare -U true || unshare -r true || unshare -m true || unshare -n true " +
        "|| unshare -p -f true || unshare -C true",
      nsenter:
        "nsenter -t 1 -m true || nsenter --user=/proc/1/ns/user true || nsenter -t 1 -a true",
      bwrap:
        "bwrap --ro-bind / / true || bwrap --unshare-all --ro-bind / / true || " +
        "bwrap --dev-bind / / true",
      chroot: "chroot / true || chroot /work true",
      setpriv: "setpriv --reuid=0 true || setpriv --inh-caps=+all --ambient-caps=+all true",
      capsh: "capsh --user=root -- -c true || setcap cap_sys_admin+ep /work/x",
      "a file with capabilities":
        "cp /usr/bin/true /work/true && setfattr -n security.capability -v 0s /work/true",
      "a device": "mknod /work/null c 1 3 || mknod /tmp/vda b 254 0",
      "the clock": "date -s 2020-01-01 || hwclock --set --date 2020-01-01",
      "the host's name": "hostname attacked || echo attacked >/proc/sys/kernel/hostname",
      "a better nice value": "renice -n -20 -p $$ || renice -n -1 -p 1",
      "real time":
        "chrt -f 1 true || chrt -r 1 true || chrt -d --sched-runtime 1000000 " +
        "--sched-deadline 2000000 --sched-period 2000000 0 true",
      "input and output first": "ionice -c 1 true",
      "a processor of its own": "echo 1 >/sys/fs/cgroup/cpuset.cpus || mkdir /sys/fs/cgroup/x",
      "more files, processes, locked memory, a core":
        "ulimit -n 100000 || ulimit -Hn 100000 || ulimit -p 100000 || ulimit -l " +
        "1000000 || ulimit -c 1000 || ulimit -f 100000000",
      "the same by prlimit":
        "prlimit --pid $$ --nofile=100000:100000 || prlimit --pid $$ " +
        "--memlock=unlimited || prlimit --pid 1 --nproc=9999999:9999999",
      "less to fear from want of memory":
        "echo -1000 >/proc/self/oom_score_adj || echo -1 >/proc/1/oom_score_adj || " +
        "echo -17 >/proc/self/oom_adj",
      "another user's numbers":
        "echo 0 0 1 >/proc/self/uid_map || echo 0 65534 1 >/proc/self/gid_map || " +
        "echo allow >/proc/self/setgroups",
      "the terminal":
        "echo x >/dev/tty || echo x >/dev/console || echo x >/dev/tty0 || script " +
        "-qc id /dev/null </dev/tty",
      "the kernel's log": "echo attacked >/dev/kmsg || dmesg -C",
      modules: "modprobe dummy || insmod /work/x.ko",
      "a hard link to a program": "ln /usr/bin/su /work/su || ln /usr/bin/env /tmp/env",
      "a file of another user": "touch /work/x && chown 0:0 /work/x || chgrp 0 /work/x",
      "a system folder through a link": "ln -s /usr/bin /work/bin && touch /work/bin/attacked",
      "the whole memory kept":
        "mount -o remount,size=100G /work || mount -o remount,size=100G /tmp",
      "a trace of the kernel":
        "ls /sys/kernel/debug || ls /sys/kernel/tracing || strace -f true || perf stat true",
    };
    for (const events of await inBoth({ command: ["sh", "-c", attemptScript(attempts)] }))
      expect(outcomesOf(events)).toEqual(each(attempts, "refused"));
  });

  test("a child's setuid program runs as the child, and its folders have no devices", async () => {
    const { script } = await startAttacked();
    const text = `
      for place in /work /tmp /dev/shm; do
        cp /usr/bin/id $place/id && chmod 6755 $place/id && $place/id -u && $place/id -g && \
setpriv --dump 2>/dev/null | grep -c 'no_new_privs: 1'
        grep " $place " /proc/self/mountinfo | grep -c nosuid,nodev
      done`;
    const events = await script(text);
    expect(textOf(events)).toBe("65534\n65534\n1\n1\n".repeat(3));
  });

  test("the child's own terminal takes no input from it, and stays its own", async () => {
    const { attack, script } = await startAttacked();
    const TIOCSTI = 0x5412;
    const source = `
      open(my $master, "+<", "/dev/ptmx") or print "no terminal\\n";
      my ($unlocked, $number) = (pack("i", 0), pack("I", 0));
      ioctl($master, 0x40045431, $unlocked);
      ioctl($master, 0x80045430, $number);
      open(my $slave, "+<", "/dev/pts/" . unpack("I", $number)) or print "no other end\\n";
      for my $request (${TIOCSTI}, 0x541c) { my $letter = "x"; print((defined(ioctl($slave, \
$request, $letter)) ? "put" : 0 + $!), "\\n") }`;
    expect(textOf(await attack({ command: ["perl", "-e", source] }))).toBe(`${EPERM}\n${EPERM}\n`);
    expect(
      textOf(
        await script(
          "ls /dev/pts; cat /proc/keys /proc/self/attr/current 2>/dev/null | grep -c keyring; true",
        ),
      ),
    ).toBe("ptmx\n0\n");
  });

  test("a file under a name of the host stays inside", async () => {
    const member = await startOne({ graceMs: 200 });
    const names = ["/tmp", "/dev/shm", "/work"].map(
      (folder) => `${folder}/dpool-attack-${process.pid}`,
    );
    const holder = streamOf(
      await post(member.url, "/call", {
        pool: "pipeline",
        command: [
          "sh",
          "-c",
          `for name in ${names.join(" ")}; do echo x >$name; done; echo up; exec sleep 600`,
        ],
      }),
    );
    let up = "";
    while (!up.includes("up")) {
      const { value } = await within("the child's word", holder.next());
      if (value?.type === "stdout") up += value.text;
    }
    expect(names.filter((name) => existsSync(name))).toEqual([]);
    expect(
      textOf(
        await callEvents(member.url, "/call", {
          pool: "pipeline",
          command: ["ls", "-A", "/tmp", "/dev/shm", "/work"],
        }),
      ),
    ).toBe("/dev/shm:\n\n/tmp:\n\n/work:\n");
    await holder.return();
  });
});
