/** Attacks by the control group that a child sees: its own alone, which it cannot change. */
import { describe, expect, test } from "vitest";
import { BOTH_WAYS, groupsLeft, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { textOf } from "../helpers/member.ts";

const missing = hostileMissing;

/** Checks what a child sees of groups: its own alone. */
function checkView(output: string): void {
  // The member's temporary folder shows as the source of `/etc`, and has the group's name.
  const lines = output.split("\n");
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
}

describe.skipIf(missing)(`the visible group${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("no file of it can be written, and no group can be made in it", async () => {
    const { inBoth } = await startAttacked({ pools: BOTH_WAYS });
    const script = `
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
      :`;
    for (const events of await inBoth({ command: ["sh", "-c", script] })) {
      const [files, ...leaks] = textOf(events).trim().split("\n");
      expect(Number(files)).toBeGreaterThan(10);
      expect(leaks).toEqual([]);
    }
  });

  test("no other group, no process of another and no path of the host shows", async () => {
    const { inBoth } = await startAttacked({ pools: BOTH_WAYS });
    const names = groupsLeft().flatMap((path) => /distributed-pool-[^/]+/.exec(path) ?? []);
    expect(names.length).toBeGreaterThan(0);
    const script = `
      cat /proc/self/cgroup /proc/self/mountinfo /proc/1/cgroup
      find /sys
      find /sys/fs/cgroup -mindepth 2 -type d | sed 's/^/below: /'
      ls /sys/fs/cgroup/*/.. /sys/fs/cgroup/../..
      cd /sys/fs/cgroup
      cat cgroup.procs */cgroup.procs 2>/dev/null | sed 's/^/pid: /'`;
    for (const events of await inBoth({ command: ["sh", "-c", script] })) checkView(textOf(events));
  });

  test("a child that gives up its affinity still has its limit", async () => {
    const { inBoth } = await startAttacked({ pools: BOTH_WAYS });
    const script = `
      taskset -cp 0-63 $$ >/dev/null 2>&1
      cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null`;
    const spec = { command: ["sh", "-c", script], limits: { cpus: 1 } };
    for (const events of await inBoth(spec)) expect(textOf(events)).toMatch(/^100000\b/);
  });
});
