/** Attacks on a child's `/etc`: its made-up files, and the parts of the host's that it shows. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { describe, expect, test } from "vitest";
import { COPIED_PARTS, LIVE_PARTS, MADE_UP } from "../../server/sandbox/etc-parts.ts";
import { attemptScript, each, outcomesOf } from "../helpers/attempts.ts";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { callEvents, textOf } from "../helpers/member.ts";

/** The first words of the lines of a host's file that are not in the child's. */
function ownNames(file: string, separator: RegExp): string[] {
  const known = new Set(MADE_UP[file]?.split(/[\s:]/));
  const lines = readFileSync(`/etc/${file}`, "utf8").replace(/#.*/g, "").split("\n");
  return lines
    .flatMap((line) => line.split(separator).slice(0, file === "hosts" ? undefined : 1))
    .filter((name) => name !== "" && !known.has(name));
}

describe.skipIf(hostileMissing)(
  `the child's /etc${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    test("nothing in it can be changed, and the next child finds it as it was", async () => {
      const { script } = await startAttacked();
      const look =
        "cd /etc && ls -lR --time-style=full-iso . && cat passwd group hosts resolv.conf";
      const before = textOf(await script(look));
      const attempts = {
        "a user": "echo root::0:0::/:/bin/sh >>/etc/passwd || echo x >/etc/group",
        "a name": "echo 1.2.3.4 localhost >>/etc/hosts || echo x >/etc/resolv.conf",
        "a new file": "touch /etc/ld.so.preload || mkdir /etc/x || ln -s /work /etc/link",
        "a removed file": "rm -f /etc/passwd || mv /etc/hosts /work || rmdir /etc/fonts",
        "a file in its place": "mv -f /work/passwd /etc/passwd || ln -f /work/x /etc/hosts",
        "another mode": "chmod 666 /etc/passwd || chmod 777 /etc || touch /etc/passwd",
        "another owner": "chown 0:0 /etc/passwd || chgrp 0 /etc",
        "a mount above it": "mount -o remount,rw /etc || umount /etc || mount -t tmpfs x /etc",
        "a way around the mount":
          "for root in /proc/1/root /proc/self/root /proc/self/cwd/..; do " +
          "echo x >>$root/etc/passwd && exit 0; done; exit 1",
        "a shorter file": "truncate -s 0 /etc/hosts || dd if=/dev/null of=/etc/hosts",
        "any other file":
          "find /etc -print0 | " +
          "perl -0ne 'chomp; $found = 1 if open(my $file, \"+<\", $_); END { exit !$found }'",
      };
      expect(outcomesOf(await script(attemptScript(attempts)))).toEqual(each(attempts, "refused"));
      expect(textOf(await script(look))).toBe(before);
    });

    test("it holds no name, key or setting of the host beyond the list", async () => {
      const { script } = await startAttacked();
      for (const [name, text] of Object.entries(MADE_UP))
        expect(textOf(await script(`cat /etc/${name}`))).toBe(text);

      const files = textOf(await script("cd /etc && find . ! -type d -printf '%P\\n'"));
      const parts = [...LIVE_PARTS, ...COPIED_PARTS].map(
        (part) => new RegExp(`^${part.replaceAll(".", "\\.").replaceAll("*", "[^/]*")}(/|$)`),
      );
      const others = files
        .trim()
        .split("\n")
        .filter((file) => !parts.some((part) => part.test(file)));
      expect(others.sort()).toEqual([...Object.keys(MADE_UP), "resolv.conf"].sort());

      const attempts = {
        "a private key": "grep -rlsE 'BEGIN ([A-Z]+ )?PRIVATE KEY' /etc",
        "a file outside /usr by a link":
          "find /etc -type l -exec readlink -e {} + | grep -vE '^/(usr|etc|proc)/'",
        "a file that not everybody may read": "find /etc ! -type l ! -perm -004 | grep .",
        "a file that is a program": "find /etc -type f -perm /6111 | grep .",
        "hashes and keys":
          "ls /etc/shadow* /etc/gshadow* /etc/ssh /etc/ssl/private /etc/sudoers* | grep .",
        "what identifies the machine": "ls /etc/machine-id /etc/hostname /etc/fstab | grep .",
        "tokens of package managers":
          "ls /etc/npmrc /etc/pip.conf /etc/gitconfig /etc/apt /etc/maven /etc/netrc | grep .",
      };
      expect(outcomesOf(await script(attemptScript(attempts)))).toEqual(each(attempts, "refused"));
    });

    test("no program learns the host's users, groups and names", async () => {
      const { script } = await startAttacked();
      const [users, groups, names] = [
        ownNames("passwd", /:/),
        ownNames("group", /:/),
        ownNames("hosts", /\s+/),
      ];
      expect(users.length).toBeGreaterThan(0);
      const found = await script(
        `getent passwd ${users.join(" ")}; getent group ${groups.join(" ")}; ` +
          `for name in ${[...names, hostname()].join(" ")}; do getent hosts "$name"; done; ` +
          "getent passwd; getent group; hostname; id; true",
      );
      expect(textOf(found)).toBe(
        `${MADE_UP.passwd}${MADE_UP.group}child\n` +
          "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n",
      );
    });

    test("a grant in /etc is shown to its own pool only", async () => {
      const { member, script } = await startAttacked({
        pools: {
          pipeline: 3,
          sibling: 1,
          granted: { maxChildren: 1, readOnly: ["/etc/hostname:/etc/granted/name"] },
        },
      });
      const look = "cat /etc/granted/name && ( echo x >/etc/granted/new || echo refused ) 2>&-";
      const shown = await callEvents(member.url, "/call", {
        pool: "granted",
        command: ["sh", "-c", look],
      });
      expect(textOf(shown)).toBe(`${readFileSync("/etc/hostname", "utf8")}refused\n`);
      expect(textOf(await script("ls -d /etc/granted 2>&1 >&-; true"))).toContain("No such file");
    });
  },
);
