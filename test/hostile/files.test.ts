/**
 * Attacks on storage and descriptors: a child fills its own, up to a bound, and its end frees all.
 */
import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { BOTH_WAYS, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { lastOf, textOf } from "../helpers/member.ts";

const MIB = 1024 * 1024;
const SIGXFSZ = 25;

describe.skipIf(hostileMissing)(
  `files${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    test.each([
      ["the workspace", "/work", 8],
      ["/tmp", "/tmp", 64],
      ["/dev/shm", "/dev/shm", 16],
    ])("%s ends at its size", async (_, folder, mebibytes) => {
      const { script } = await startAttacked();
      // Files of 4 MiB: the size of a single file has its own limit.
      const fill =
        `cd ${folder}; n=0; while head -c 4M /dev/zero >file-$n; do n=$((n+1)); done; cat * ` +
        "| wc -c";
      const limits = { workspaceBytes: 8 * MIB, shmBytes: 16 * MIB };
      const events = await script(fill, { limits });
      expect(textOf(events, "stderr")).toContain("No space left on device");
      expect(Number(textOf(events))).toBe(mebibytes * MIB);
      expect(lastOf(events, "result").exitCode).toBe(0);
    });

    test("no other folder takes a byte, and the disk of the host takes none", async () => {
      const { script } = await startAttacked();
      const free = () => {
        const { bfree, bsize } = statfsSync(tmpdir());
        return bfree * bsize;
      };
      const before = free();
      const folders = "{ echo /proc; find / -path /proc -prune -o -type d -writable -print; }";
      const events = await script(
        `${folders} 2>/dev/null | while read -r at; do ( : >"$at/intruder" ) 2>/dev/null && ` +
          `echo "$at"; done; exit 0`,
      );
      expect(textOf(events).trim().split("\n").toSorted()).toEqual(["/dev/shm", "/tmp", "/work"]);
      const filled = await script(
        "for at in /tmp /work /dev/shm; do head -c 40M /dev/zero >$at/file; done; exit 0",
      );
      expect(lastOf(filled, "result").exitCode).toBe(0);
      // Other programs write too, so only a large part of the child's 120 MB would show.
      expect(before - free()).toBeLessThan(40 * MIB);
    });

    test.each([
      ["ends its program by a signal", "head -c 20M /dev/zero >file", 128 + SIGXFSZ],
      [
        "is refused to a program that ignores the signal",
        "trap '' XFSZ; head -c 20M /dev/zero >file; stat -c %s file; exit 3",
        3,
      ],
    ])("a file larger than the workspace %s", async (_, text, exitCode) => {
      const { script } = await startAttacked();
      const limits = { workspaceBytes: 8 * MIB, shmBytes: 8 * MIB };
      const events = await script(text, { limits });
      const last = events.at(-1);
      expect(last).toMatchObject(
        exitCode > 128
          ? { type: "failed", exitCode, problem: { code: "worker_crashed" } }
          : { type: "result", exitCode },
      );
      if (exitCode < 128) {
        expect(textOf(events, "stderr")).toContain("File too large");
        expect(textOf(events)).toBe(`${8 * MIB}\n`);
      }
    });

    test("a sparse file of a terabyte is refused, however it is made", async () => {
      const { script } = await startAttacked();
      const events = await script(
        `trap '' XFSZ
      perl -e 'open $f, ">", "a" or die; truncate $f, 1 << 40 or print "$!\n"
        ; seek $f, 1 << 40, 0; syswrite $f, "x" or print "$!\n"'
      dd if=/dev/zero of=b bs=1 count=1 seek=1T 2>/dev/null || echo refused
      cat a b 2>/dev/null | wc -c`,
      );
      expect(textOf(events)).toBe("File too large\nFile too large\nrefused\n0\n");
    });

    test("descriptors end at their limit, and other processes keep theirs", async () => {
      const { attack, inBoth } = await startAttacked({ pools: BOTH_WAYS });
      const program = `while (open my $f, "<", "/dev/null") { push @f, $f } print 0 + @f, " $!\n"`;
      const spec = { command: ["perl", "-e", program], limits: { openFiles: 64 } };
      for (const events of await inBoth(spec))
        expect(textOf(events)).toMatch(/^(5\d|6[01]) Too many open files\n$/);
      const many =
        `for (1 .. 60) { fork or do { 1 while open $f[$n++], "<", "/dev/null"; syswrite ` +
        `STDOUT, "$n\n"; exit } } 1 while wait > 0; print "over\n"`;
      expect(
        textOf(await attack({ command: ["perl", "-e", many], limits: { processes: 64 } })),
      ).toMatch(/^(10\d\d\n){60}over\n$/);
    });

    test("a forged archive brings no path that the patterns do not match", async () => {
      const { script } = await startAttacked();
      // The pipe belongs to the shell around the program. The server reads one archive from it.
      const forge =
        "echo forged >Makefile; echo forged >a.png; " +
        "tar -cf - ./Makefile ./a.png >/proc/$PPID/fd/8 && echo written; rm a.png";
      const events = await script(forge, { artifacts: ["*.png"] });
      expect(textOf(events)).toBe("written\n");
      expect(lastOf(events, "result").artifacts).toEqual([{ path: "a.png", bytes: 7 }]);
    });

    test("a path deeper than any limit, and names of any bytes, go with the child", async () => {
      const { attack } = await startAttacked();
      const program =
        `for (1 .. 2000) { mkdir "d" x 250 or die $!; chdir "d" x 250 or die $! } open $f, ` +
        `">", "\\x01\\n\\xff-rf" or die $!; mkfifo(); print "deep\n"; sub mkfifo { system ` +
        `"mkfifo", "pipe" }`;
      expect(textOf(await attack({ command: ["perl", "-e", program] }))).toBe("deep\n");
    });
  },
);
