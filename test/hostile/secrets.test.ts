/**
 * Attacks on secrets: the environment, arguments, descriptors and files of the server and siblings.
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { attemptScript, each, outcomesOf } from "../helpers/attempts.ts";
import { BOTH_WAYS, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { callEvents, idle, lastOf, post, streamOf, textOf, within } from "../helpers/member.ts";
import { cleanEnvironment } from "../helpers/processes.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A text that exists nowhere else on this machine. */
const secret = (name: string) => `${name}-${randomUUID()}`;

/** A file of the host that any user may read, removed with the test. */
function hostFile(text: string, mode = 0o644): string {
  const folder = mkdtempSync(join(tmpdir(), "dpool-secret-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "secret");
  writeFileSync(file, text, { mode });
  return file;
}

/** Prints every file of the process folders, and the target of each descriptor. */
const READ_PROC = `
for each in /proc/[0-9]* /proc/self /proc/1/task/*; do
  for file in environ cmdline comm cgroup mountinfo maps status stack syscall wchan auxv; do tr \
'\\0' '\\n' <"$each/$file"; done
  ls -l "$each/fd" "$each/cwd" "$each/root" "$each/exe" "$each/map_files"
done 2>/dev/null
cat /proc/keys /proc/key-users /proc/locks /proc/net/unix /proc/net/tcp /proc/sysvipc/*
exit 0`;

describe.skipIf(hostileMissing)(
  `secrets${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    test("no process folder shows the server, the sandbox's programs or a sibling", async () => {
      const [ofServer, ofArgument, ofVariable] = [
        secret("server"),
        secret("argument"),
        secret("variable"),
      ];
      process.env.SECRET_FOR_TEST = ofServer;
      onTestFinished(() => {
        delete process.env.SECRET_FOR_TEST;
      });
      const pools = { ...BOTH_WAYS, sibling: { ...BOTH_WAYS.sibling, maxChildren: 2 } };
      const { member, inBoth } = await startAttacked({ pools });
      const sibling = streamOf(
        await post(member.url, "/call", {
          pool: "sibling",
          command: [
            "sh",
            "-c",
            "tr '\\0' '\\n' </proc/self/environ; tr '\\0' '\\n' </proc/$$/cmdline; exec sleep 600",
            "sh",
            ofArgument,
          ],
          env: { OF_VARIABLE: ofVariable },
        }),
      );
      let seen = "";
      while (!seen.includes(ofArgument)) {
        const { value } = await within("the sibling's own view", sibling.next());
        if (value?.type === "stdout") seen += value.text;
      }
      expect(seen).toContain(ofVariable);

      const own = secret("own");
      const secrets = [ofServer, ofArgument, ofVariable, "SECRET_FOR_TEST", "OF_VARIABLE", ROOT];
      for (const events of await inBoth({ command: ["sh", "-c", READ_PROC], env: { OWN: own } })) {
        const output = textOf(events);
        expect(output).toContain(own);
        for (const text of secrets) expect(output).not.toContain(text);
      }
      await sibling.return();
    });

    test("no file of the host but its programs can be read, by any detour", async () => {
      const text = secret("file");
      const [file, closed] = [hostFile(text), hostFile(text, 0o600)];
      const { script, inBoth } = await startAttacked({ pools: BOTH_WAYS });
      const attempts = {
        "a file in /tmp": `cat '${file}'`,
        "a closed file in /tmp": `cat '${closed}'`,
        "the folder of it": `ls '${join(file, "..")}'`,
        "the same through the root of another process":
          `cat /proc/1/root'${file}' || cat /proc/self/root'${file}' || cat ` +
          `/proc/1/cwd'${file}'`,
        "the same through the root's parent": `cat /../../..'${file}'`,
        "the same through a symbolic link": `ln -s '${file}' /work/link && cat /work/link`,
        "the same through the old root": `cat /oldroot'${file}' || cat /newroot/../'${file}'`,
        "the password hashes": "cat /etc/shadow",
        "the names of users": "getent passwd | grep -vE '^(root|nobody):'",
        "the host's name":
          "grep -q . /etc/hostname || " + `test "$(cat /proc/sys/kernel/hostname)" != child`,
        "the server's checkout": `ls '${ROOT}' || cat '${ROOT}package.json'`,
        "the server's home": `ls '${homedir()}' || ls ~root`,
        "variable data and services": "ls /var || ls /run/* || ls /srv || ls /opt || ls /home",
        "the kernel's memory":
          "head -c 1 /proc/kcore || head -c 1 /dev/mem || head -c 1 /dev/kmem || " +
          "head -c 1 /dev/port || head -c 1 /proc/kpagemap",
        "the kernel's log": "dmesg || head -c 1 /proc/kmsg || head -c 1 /dev/kmsg",
        "the kernel's addresses":
          "grep -v '^00*  *' /proc/kallsyms | grep . || grep -v ' 0x00*$' /proc/modules | grep .",
        // A child sees its own control group, and nothing else of the tree.
        "the machine's tree":
          "ls /sys | grep -v '^fs$' || ls /sys/fs | grep -v '^cgroup$' || ls /boot || " +
          "ls /lost+found",
        "the machine's disks":
          "ls /dev/vda || ls /dev/sda || ls /dev/nvme* || ls /dev/disk || ls /dev/mapper",
      };
      for (const events of await inBoth({ command: ["sh", "-c", attemptScript(attempts)] }))
        expect(outcomesOf(events)).toEqual(each(attempts, "refused"));
      const all = textOf(
        await script(
          `grep -rs ${text} /tmp /work /dev/shm /etc /run; find / -xdev -name ` +
            "'secret*' 2>/dev/null | grep -v '^/usr/'; true",
        ),
      );
      expect(all).toBe("");
    });

    test("only the child's own settings of the kernel can be changed", async () => {
      const SETTING =
        /^\/proc\/sys\/(kernel|vm|fs|user|net\/(core|ipv4)|net\/ipv4\/conf\/all)\/[^/]+$|mqueue/;
      /** The machine's readable settings, without counters and random numbers. */
      const settings = () =>
        Object.fromEntries(
          readdirSync("/proc/sys", { recursive: true, encoding: "utf8", withFileTypes: true })
            .filter(
              (entry) =>
                entry.isFile() &&
                !/random|ns_last_pid|-nr$|state$|pty|sched_domain|\/net$/.test(
                  `${entry.parentPath}/${entry.name}`,
                ),
            )
            .map((entry) => `${entry.parentPath}/${entry.name}`)
            .filter((path) => SETTING.test(path))
            .flatMap((path) => {
              try {
                return [[path, readFileSync(path, "latin1")]];
              } catch {
                return [];
              }
            }),
        );
      const { script } = await startAttacked();
      const before = settings();
      expect(Object.keys(before).length).toBeGreaterThan(100);
      // Opening for writing is enough of a test. Only the child's own settings are really written,
      // so that a sandbox that fails does not damage the machine.
      const change = `
      find /proc/sys /proc/irq /proc/bus /proc/sysrq-trigger -type f 2>/dev/null |
        perl -ne 'chomp; if (open(my $file, ">", $_)) { print "can change $_\\n" }'
      for name in msgmax msgmnb shmmni; do
        file=/proc/sys/kernel/$name
        echo $(( $(cat $file) - 1 )) >$file && echo "changed $file"
      done
      echo tried`;
      const changed = textOf(await script(change))
        .trim()
        .split("\n");
      expect(changed.at(-1)).toBe("tried");
      // Message queues, shared memory and process numbers have the child's own namespaces.
      const OWN = new RegExp(
        "^((can change|changed) /proc/sys/(fs/mqueue/|" +
          "kernel/(auto_msgmni|msg\\w+|sem\\w*|shm\\w+|pid_max|ns_last_pid|\\w+_next_id)$)|tried$)",
      );
      expect(changed.filter((line) => !OWN.test(line))).toEqual([]);
      expect(settings()).toEqual(before);
    });

    test("a server keeps secrets in its environment, arguments and descriptors", async () => {
      const [inFile, token, inArgument] = [
        secret("descriptor"),
        secret("token"),
        secret("argument"),
      ];
      const fd = openSync(hostFile(inFile), "r");
      const stdio: ("ignore" | "pipe" | number)[] = ["ignore", "pipe", "ignore"];
      while (stdio.length < 251) stdio.push("ignore");
      stdio.push(fd);
      const server = spawn(
        process.execPath,
        [
          `--title=${inArgument}`,
          join(ROOT, "dist/cli.js"),
          "dev",
          "--port",
          "0",
          "--pool",
          "pipeline=2",
        ],
        {
          env: { ...cleanEnvironment(), CONSUL_HTTP_TOKEN: token, SECRET_FOR_TEST: token },
          stdio,
        },
      );
      closeSync(fd);
      onTestFinished(async () => {
        const exited = once(server, "exit");
        server.kill("SIGTERM");
        await within("the server's end", exited);
      });
      const lines = createInterface({ input: server.stdout as NodeJS.ReadableStream });
      const [ready] = (await within("the server to be ready", once(lines, "line"))) as [string];
      const url = /^ready (\S+) member m1/.exec(ready)?.[1] as string;
      // The server has the descriptor, which a child could inherit.
      expect(readFileSync(`/proc/${server.pid}/fd/251`, "utf8")).toBe(inFile);

      const readAll =
        `${READ_PROC.replace("exit 0", "")} cat /proc/self/fd/251 /dev/fd/251 ` +
        "/proc/1/fd/251 2>/dev/null; env; exit 0";
      const shell = textOf(
        await callEvents(url, "/call", { pool: "pipeline", command: ["sh", "-c", readAll] }),
      );
      expect(shell).toContain("HOME=/work");
      const source = `() => {
      const fs = require("node:fs");
      const found = [JSON.stringify(process.env), process.title, process.argv.join(" ")];
      for (let fd = 0; fd < 1024; fd++) {
        if (fd <= 3) continue;
        try { found.push(fs.readlinkSync("/proc/self/fd/" + fd)); } catch {}
        try { if (fs.fstatSync(fd).isFile()) found.push(fs.readFileSync(fd, "utf8")); } catch {}
      }
      return found;
    }`;
      const { value } = lastOf(
        await callEvents(url, "/call", { pool: "pipeline", function: { source } }),
        "result",
      );
      const found = JSON.stringify(value);
      expect(found).toContain("/run/distributed-pool/node");
      for (const text of [inFile, token, inArgument, "CONSUL", "SECRET_FOR_TEST"]) {
        expect(shell).not.toContain(text);
        expect(found).not.toContain(text);
      }
      await idle({ url, name: "m1" });
    });
  },
);
