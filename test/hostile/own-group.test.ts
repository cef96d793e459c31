/** Attacks by the control group that a child sees: its own alone, which it cannot change. */
import { describe, expect, test } from "vitest";
import { groupsLeft, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { textOf } from "../helpers/member.ts";

const missing = hostileMissing;

describe.skipIf(missing)(`the visible group${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("no file of it can be written, and no group can be made in it", async () => {
    const { script } = await startAttacked();
    const events = await script(`
      cd /sys/fs/cgroup
      find . -type f | wc -l
      find . -type f -exec sh -c '
        for f; do { echo 1 >"$f"; } 2>/dev/null && echo "wrote $f"; done' sh {} +
      find . -type d -exec sh -c '
        for d; do mkdir "$d/x" 2>/dev/null && echo "made $d/x"; done' sh {} +
      find . -exec chmod 777 {} + 2>/dev/null && echo changed
      touch x 2>/dev/null && echo touched
      mount -o remount,rw memory 2>/dev/null && echo remounted
      umount memory 2>/dev/null && echo unmounted
      :`);
    const [files, ...leaks] = textOf(events).trim().split("\n");
    expect(Number(files)).toBeGreaterThan(10);
    expect(leaks).toEqual([]);
  });

  test("no other group, no process of another and no path of the host shows", async () => {
    const { script } = await startAttacked();
    const names = groupsLeft().flatMap((path) => /distributed-pool-[^/]+/.exec(path) ?? []);
    expect(names.length).toBeGreaterThan(0);
    const events = await script(`
      cat /proc/self/cgroup /proc/self/mountinfo /proc/1/cgroup
      find /sys
      find /sys/fs/cgroup -mindepth 2 -type d | sed 's/^/below: /'
      ls /sys/fs/cgroup/*/.. /sys/fs/cgroup/../..
      cd /sys/fs/cgroup
      cat cgroup.procs */cgroup.procs 2>/dev/null | sed 's/^/pid: /'`);
    // The member's temporary folder shows as the source of `/etc`, and has the group's name.
    const lines = textOf(events).split("\n");
    const text = lines.filter((line) => !/ \S+\/etc-\d+ \/etc /.test(line)).join("\n");
    expect(text).not.toContain("distributed-pool-");
    expect(text).not.toContain("below: ");
    // 0 would be a process outside of the child's own namespace.
    const pids = [...text.matchAll(/^pid: (\d+)$/gm)].map(([, pid]) => Number(pid));
    expect(pids.length).toBeGreaterThan(0);
    expect(pids.filter((pid) => pid === 0)).toEqual([]);
    const roots = [...text.matchAll(/^\S+ \S+ \S+ (\S+) \/sys\/fs\/cgroup\S* (\S+)/gm)];
    expect(roots.length).toBeGreaterThan(0);
    for (const [, root, options] of roots) {
      expect(root).toBe("/");
      expect(options).toMatch(/^ro,/);
    }
  });

  test("a child that gives up its affinity still has its limit", async () => {
    const limits = { cpus: 1 };
    const { script } = await startAttacked({
      pools: { pipeline: { maxChildren: 3, limits }, sibling: 1 },
    });
    const events = await script(`
      taskset -cp 0-63 $$ >/dev/null 2>&1
      cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null`);
    expect(textOf(events)).toMatch(/^100000\b/);
  });
});
