/** Attacks on the grants of a pool: callers can tighten them, and never widen them. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import type { RunningMember } from "../../server/main.ts";
import type { PoolOptions } from "../../server/member/pool-options.ts";
import { attemptScript, each, outcomesOf } from "../helpers/attempts.ts";
import { hostileMissing } from "../helpers/hostile.ts";
import { callEvents, idle, lastOf, post, problemOf, startOne, textOf } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

const start = (pool: Partial<PoolOptions>) =>
  startOne({ pools: { pipeline: { maxChildren: 2, ...pool } }, graceMs: 200 });
const call = (member: RunningMember, spec: ChildSpecInput) =>
  callEvents(member.url, "/call", { pool: "pipeline", ...spec });
const script = async (member: RunningMember, text: string) =>
  textOf(await call(member, { command: ["/bin/sh", "-c", text] }));

/** A folder of the host, removed with the test. */
function hostFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dpool-grant-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  return folder;
}

/** A root file system of these programs and the libraries that they load. */
function tinyRoot(programs: Readonly<Record<string, string>>): string {
  const root = hostFolder();
  for (const [to, from] of Object.entries(programs)) {
    const libraries =
      execFileSync("ldd", [from], { encoding: "utf8" }).match(/\/\S+(?= \()/g) ?? [];
    for (const [source, target] of [
      [from, to],
      ...libraries.map((library) => [library, library]),
    ] as [string, string][]) {
      mkdirSync(join(root, dirname(target)), { recursive: true });
      copyFileSync(realpathSync(source), join(root, target));
    }
  }
  return root;
}

describe.skipIf(hostileMissing)(
  `grants${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    test("an allow-list lets only its programs run, by any name", async () => {
      const member = await start({ commands: ["echo"] });
      expect(textOf(await call(member, { command: ["echo", "$(id)", "; id"] }))).toBe(
        "$(id) ; id\n",
      );
      const refused: ChildSpecInput[] = [
      ...["sh", "/bin/echo", "./echo", "echo ", " echo", "ECHO", "echo\n", "echo;id"]
        .concat("echo/../sh")
        .map((program) => ({ command: [program, "-c", "id"] })),
      { function: { source: "() => 1" } },
      ...["PATH", "LD_PRELOAD", "BASH_ENV", "PS4", "NODE_OPTIONS", "GREETING"]
        .map((name) => ({ command: ["echo", "x"], env: { [name]: "/work" } })),
    ]; // biome-ignore format: many small words
      for (const spec of refused) {
        const answer = await post(member.url, "/call", { pool: "pipeline", ...spec });
        expect([answer.status, (await problemOf(answer)).code], JSON.stringify(spec)).toEqual([
          403,
          "forbidden",
        ]);
        const placed = await post(member.url, "/children", { pool: "pipeline", ...spec });
        expect(placed.status, JSON.stringify(spec)).toBe(403);
      }
      await idle(member);
    });

    test.skipIf(!onPath("bash"))(
      "an allow-list holds where the shell of the sandbox runs code out of variables",
      async () => {
        const programs = [
          "id",
          "grep",
          "ls",
          "wc",
          "tr",
          "head",
          "tail",
          "sleep",
          "echo",
          "cat",
        ].map((name) => [`/bin/${name}`, `/usr/bin/${name}`]);
        const member = await start({
          root: tinyRoot({ "/bin/sh": "/bin/bash", ...Object.fromEntries(programs) }),
          commands: ["echo"],
        });
        expect(textOf(await call(member, { command: ["echo", "well"] }))).toBe("well\n");
        const answer = await post(member.url, "/call", {
          pool: "pipeline",
          command: ["echo"],
          env: { SHELLOPTS: "xtrace", PS4: "$(id >&2)" },
        });
        expect((await problemOf(answer)).code).toBe("forbidden");
      },
    );

    test("the operator's variables replace the caller's, and nobody else sees them", async () => {
      const member = await start({ env: { MODE: "operator", PATH: "/usr/bin" } });
      const events = await call(member, {
        command: ["env"],
        env: { MODE: "caller", PATH: "/work", OWN: "yes" },
      });
      expect(textOf(events)).toMatch(/^MODE=operator$/m);
      expect(textOf(events)).toMatch(/^PATH=\/usr\/bin$/m);
      expect(textOf(events)).toMatch(/^OWN=yes$/m);
      expect(textOf(events)).not.toContain("caller");
      const { children } = (await (await fetch(`${member.url}/children`)).json()) as {
        children: unknown[];
      };
      expect(JSON.stringify(children)).not.toContain("operator");
    });

    test("read-only folders can be read as the host's modes allow, and not changed", async () => {
      const folder = hostFolder();
      writeFileSync(join(folder, "open"), "open\n", { mode: 0o644 });
      writeFileSync(join(folder, "closed"), "closed\n", { mode: 0o600 });
      writeFileSync(join(folder, "writable"), "writable\n");
      chmodSync(join(folder, "writable"), 0o666);
      symlinkSync("/etc/shadow", join(folder, "link"));
      const beside = hostFolder();
      writeFileSync(join(beside, "secret"), "secret\n", { mode: 0o644 });
      const member = await start({ readOnly: [`${folder}:/data`, `${folder}/open:/single/file`] });
      expect(await script(member, "cat /data/open /single/file; ls /data")).toBe(
        "open\nopen\nclosed\nlink\nopen\nwritable\n",
      );
      const attempts = {
        "a closed file": "cat /data/closed",
        "a file of the host by a link": "cat /data/link",
        "a change": "echo x >/data/open || echo x >/data/writable || echo x >>/single/file",
        "a new file": "touch /data/new || mkdir /data/new || ln -s x /data/new",
        "an end": "rm -f /data/open && test ! -e /data/open",
        "another mode": "chmod 777 /data/writable || touch /data/writable",
        "a folder beside it":
          `cat /data/../${beside}/secret || cat '${beside}/secret' || ` + `ls /single/..${beside}`,
        "a mount above it": "mount -o remount,rw /data || umount /data",
      };
      const unlessRoot = process.getuid?.() === 0 ? {} : { "a closed file": "made" as const };
      expect(
        outcomesOf(await call(member, { command: ["sh", "-c", attemptScript(attempts)] })),
      ).toEqual({ ...each(attempts, "refused"), ...unlessRoot });
      expect(readFileSync(join(folder, "writable"), "utf8")).toBe("writable\n");
      expect(existsSync(join(folder, "new"))).toBe(false);
    });

    test.skipIf(process.getuid?.() !== 0)(
      "a folder that the child's user cannot reach is said at the start",
      async () => {
        const folder = hostFolder();
        mkdirSync(join(folder, "private"), { mode: 0o700 });
        writeFileSync(join(folder, "private", "file"), "x");
        await expect(start({ readOnly: [`${folder}/private/file:/data`] })).rejects.toMatchObject({
          code: "sandbox_unavailable",
          message: expect.stringContaining("Permission denied"),
        });
      },
    );

    test("only the granted devices exist", async () => {
      const without = await start({});
      expect(
        await script(without, "test -e /dev/kmsg || test -e /dev/fuse || echo none; ls /dev"),
      ).toBe(
        "none\ncore\nfd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\n" +
          "tty\nurandom\nzero\n",
      );
      const granted = await start({ devices: ["/dev/kmsg"] });
      // The device is there, and the host decides what it allows.
      expect(
        await script(
          granted,
          "test -c /dev/kmsg && echo there; ls /dev | grep -c .; ( echo x >/dev/kmsg " +
            ") 2>/dev/null && echo written; true",
        ),
      ).toBe("there\n15\n");
    });

    test("a curated root shows only its own files", async () => {
      const root = tinyRoot({ "/bin/sh": "/bin/sh" });
      mkdirSync(join(root, "etc"));
      writeFileSync(join(root, "etc/passwd"), "curated\n");
      symlinkSync("etc/passwd", join(root, "users"));
      for (const own of ["proc", "tmp", "work", "run"]) {
        mkdirSync(join(root, own));
        writeFileSync(join(root, own, "hidden"), "x");
      }
      const member = await start({ root });
      const tty = { rows: 24, columns: 80 };
      const typed = await post(member.url, "/call", { pool: "pipeline", command: ["sh"], tty });
      expect(await problemOf(typed)).toMatchObject({
        code: "sandbox_unavailable",
        detail: expect.stringMatching(/^expected \/usr\/bin\/perl for tty; it is missing /),
      });
      const answer = await post(member.url, "/call", {
        pool: "pipeline",
        function: { source: "() => 1" },
      });
      expect(await problemOf(answer)).toMatchObject({
        code: "runtime_not_found",
        detail: "expected no function: the pool's sandbox has no runtime; got node",
      });
      // The shell's own commands, because the root has no other program.
      const look =
        'for path in /* /bin/* /etc/* /tmp/* /work/* /run/*; do echo "$path"; ' +
        'done; read -r line </users; echo "$line"; type ls env';
      const shown = (await script(member, look)).trim().split("\n");
      const libraries = shown.filter((path) => /^\/lib\w*$/.test(path));
      expect(libraries.length).toBeGreaterThan(0);
      const others = shown.filter((path) => !libraries.includes(path) && path !== "/usr");
      expect(others).toEqual([
        "/bin",
        "/dev",
        "/etc",
        "/proc",
        "/sys",
        "/tmp",
        "/users",
        "/work",
        "/bin/sh",
        "/etc/passwd",
        "/tmp/*",
        "/work/*",
        "/run/*",
        "curated",
        "ls: not found",
        "env: not found",
      ]);
      expect(
        await script(
          member,
          "( : >/new ) 2>/dev/null || ( : >/etc/passwd ) 2>/dev/null || ( : >/bin/sh " +
            ") 2>/dev/null || echo refused; : >/work/new && echo made",
        ),
      ).toBe("refused\nmade\n");
      expect(readFileSync(join(root, "etc/passwd"), "utf8")).toBe("curated\n");
    });

    test("callers cannot ask for more than the pool grants", async () => {
      const limits = {
        memoryBytes: 64 * 1024 * 1024,
        processes: 64,
        cpus: 1,
        cpuMs: 10_000,
        workspaceBytes: 1024 * 1024,
        openFiles: 64,
        outputBytes: 1024,
        artifactBytes: 1024,
      };
      const member = await start({ limits: { ...limits, deadlineMs: 10_000 } });
      for (const [name, value] of Object.entries(limits)) {
        const answer = await post(member.url, "/call", {
          pool: "pipeline",
          command: ["true"],
          limits: { [name]: value + 1 },
        });
        const problem = await problemOf(answer);
        expect(
          [answer.status, problem.code, problem.fields?.map(({ path }) => path)],
          name,
        ).toEqual([400, "invalid_request", [`/limits/${name}`]]);
        for (const wrong of [0 - value, "1", null, value + 0.5]) {
          if (name === "cpus" && typeof wrong === "number") continue;
          expect(
            (
              await post(member.url, "/call", {
                pool: "pipeline",
                command: ["true"],
                limits: { [name]: wrong },
              })
            ).status,
            `${name} ${wrong}`,
          ).toBe(400);
        }
      }
      for (const more of [
        { deadlineMs: 10_001 },
        { network: "host" },
        { readOnly: ["/root"] },
        { devices: ["/dev/mem"] },
        { root: "/" },
        { limits: { network: 1 } },
        { grants: {} },
      ]) {
        expect(
          (await post(member.url, "/call", { pool: "pipeline", command: ["true"], ...more }))
            .status,
          JSON.stringify(more),
        ).toBe(400);
      }
      expect(
        lastOf(
          await call(member, { command: ["true"], limits: { ...limits, cpus: 0.5 } }),
          "result",
        ).exitCode,
      ).toBe(0);
    });

    test("a demanded sandbox is provided or refused", async () => {
      const full = await start({});
      expect(
        lastOf(await call(full, { command: ["true"], sandbox: "full" }), "result").exitCode,
      ).toBe(0);
      const off = await startOne({ sandbox: "off", graceMs: 200 });
      for (const sandbox of ["full", "no-cgroup"] as const) {
        const answer = await post(off.url, "/call", {
          pool: "pipeline",
          command: ["true"],
          sandbox,
        });
        expect((await problemOf(answer)).code).toBe("sandbox_unavailable");
      }
      expect(
        lastOf(await call(off, { command: ["true"], sandbox: "none" }), "result").exitCode,
      ).toBe(0);
      expect(
        (await post(full.url, "/call", { pool: "pipeline", command: ["true"], sandbox: "off" }))
          .status,
      ).toBe(400);
    });
  },
);
