/**
 * The arguments of the sandbox's programs: each protection, and exactly the addition of each grant.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type PoolOptions, PoolOptionsSchema } from "../../server/member/pool-options.ts";
import { confinementOf } from "../../server/member/pool-rules.ts";
import { bubblewrapArguments, insideArguments } from "../../server/sandbox/bubblewrap-arguments.ts";
import { chainArguments } from "../../server/sandbox/chain-arguments.ts";
import { DEFAULT_LIMITS } from "../../server/sandbox/confinement.ts";
import type { Etc } from "../../server/sandbox/etc.ts";
import { refuseSetuid } from "../../server/sandbox/refuse-setuid.ts";
import { type RootEntries, readRoot } from "../../server/sandbox/root.ts";
import type { Program } from "../../server/sandbox/sandbox.ts";

const PROGRAM: Program = {
  argv: ["true"],
  env: { OWN: "yes" },
  readOnly: [],
  channel: false,
  stdin: false,
};
const ROOT: RootEntries = new Map([
  ["/usr", null],
  ["/bin", "usr/bin"],
]);
const ETC: Etc = { folder: "/made", live: ["/etc/ssl/certs"] };
const argumentsOf = (options: Partial<PoolOptions> = {}, program = PROGRAM) =>
  bubblewrapArguments(
    program,
    confinementOf(PoolOptionsSchema.parse({ maxChildren: 1, ...options })),
    {
      root: ROOT,
      etc: options.root === undefined ? ETC : undefined,
      group: [],
      level: "full",
      cpus: 8,
    },
  );

/** Splits arguments into texts of an option and its values. An option begins with two dashes. */
function options(words: readonly string[]): string[] {
  const all: string[][] = [];
  for (const word of words) {
    if (word.startsWith("--")) all.push([word]);
    else all.at(-1)?.push(word);
  }
  return all.map((each) => each.join(" "));
}
const bare = options(argumentsOf());
/** The texts that a pool's options add to the arguments, and those that they remove. */
function change(given: Partial<PoolOptions>, program?: Program) {
  const now = options(argumentsOf(given, program));
  return {
    more: now.filter((option) => !bare.includes(option)),
    less: bare.filter((option) => !now.includes(option)),
  };
}

/** A temporary folder, removed with the test. */
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "dpool-unit-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

describe("bubblewrap's arguments", () => {
  test.each([
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net",
    "--unshare-cgroup-try", "--disable-userns", "--uid 65534", "--gid 65534", "--hostname child",
    "--die-with-parent", "--new-session", "--cap-drop ALL", "--clearenv", "--proc /proc",
    "--dev /dev", "--tmpfs /tmp", "--tmpfs /dev/shm", "--tmpfs /work", "--remount-ro /",
    "--remount-ro /dev", "--chdir /work", "--seccomp 6", "--json-status-fd 10",
    "--remount-ro /proc",
    "--ro-bind /usr /usr", "--symlink usr/bin /bin", "--setenv OWN yes",
  ])("%s", (option) => {
    expect(bare).toContain(option);
  }); // biome-ignore format: many small words

  test("no path of the host is writable, and no option gives a right back", () => {
    expect(
      bare.filter((option) =>
        /^--(bind|dev-bind|share|cap-add|overlay|keep|args|userns|pidns|file)/.test(option),
      ),
    ).toEqual([]);
  });

  test("each writable folder has a size", () => {
    for (const [index, option] of bare.entries()) {
      if (!option.startsWith("--tmpfs")) continue;
      expect(
        bare.slice(index - 2, index).some((before) => before.startsWith("--size ")),
        option,
      ).toBe(true);
    }
    expect(bare).toContain(`--size ${DEFAULT_LIMITS.workspaceBytes}`);
  });

  test("a folder becomes read-only after everything is mounted in it", () => {
    const all = options(
      argumentsOf(
        { readOnly: ["/a:/b"], devices: ["/dev/fuse"], root: "/r" },
        { ...PROGRAM, readOnly: [{ from: "/c", to: "/run/d" }] },
      ),
    );
    const closing = all.indexOf("--remount-ro /dev");
    expect(closing).toBeGreaterThan(
      Math.max(...all.map((option, index) => (/bind|tmpfs|symlink/.test(option) ? index : 0))),
    );
    expect(all.indexOf("--clearenv")).toBeLessThan(
      all.findIndex((option) => option.startsWith("--setenv")),
    );
  });

  test("the network's grant removes its namespace", () => {
    expect(change({ network: "host" })).toEqual({ more: [], less: ["--unshare-net"] });
  });

  test("the network's grant shows the files that resolve names in a curated root", () => {
    const { more } = change({ network: "host", root: "/curated" });
    expect(more.filter((option) => option.includes("/etc"))).toEqual(
      ["resolv.conf", "hosts", "nsswitch.conf", "gai.conf"].map(
        (name) => `--ro-bind-try /etc/${name} /etc/${name}`,
      ),
    );
  });

  test("listed names keep the namespace, and the variables from the first program inside", () => {
    const network = { allow: ["files.example:443"] };
    const { more, less } = change({ network });
    expect(more).toEqual([]);
    // The value of NODE_OPTIONS begins like an option.
    const variables = less.filter((text) => text !== "--max-old-space-size=1024");
    expect(variables.map((text) => text.split(" ").slice(0, 2).join(" "))).toEqual([
      "--setenv GOMEMLIMIT",
      "--setenv NODE_OPTIONS",
      "--setenv OWN",
      "--setenv POOL_MEMORY_BYTES",
      "--setenv POOL_CPUS",
    ]);
  });

  test("other grants add their own options and remove none", () => {
    expect(change({ devices: ["/dev/fuse"] })).toEqual({
      more: ["--dev-bind /dev/fuse /dev/fuse"],
      less: [],
    });
    expect(change({ readOnly: ["/data", "/a:/b"] })).toEqual({
      more: ["--ro-bind /data /data", "--ro-bind /a /b"],
      less: [],
    });
    expect(change({ env: { MODE: "x", OWN: "operator" } })).toEqual({
      more: ["--setenv OWN operator", "--setenv MODE x"],
      less: ["--setenv OWN yes"],
    });
    expect(change({ commands: ["echo"] })).toEqual({ more: [], less: [] });
    expect(change({ limits: { workspaceBytes: 65_536 } }).more).toEqual(["--size 65536"]);
  });

  test("a curated root replaces the host's folders and files", () => {
    const { more, less } = change({ root: "/curated" });
    expect(more).toEqual(["--ro-bind /curated/usr /usr"]);
    expect(less).toEqual([
      "--ro-bind /usr /usr",
      "--ro-bind /made /etc",
      "--ro-bind-try /etc/ssl/certs /etc/ssl/certs",
    ]);
  });

  test("the sandbox keeps its own folders in a curated root", () => {
    const root = folder();
    for (const name of ["usr", "etc", "proc", "dev", "sys", "tmp", "run", "work"])
      mkdirSync(join(root, name));
    symlinkSync("usr/bin", join(root, "bin"));
    const entries = [...readRoot(root)];
    expect(Object.fromEntries(entries)).toEqual({ "/bin": "usr/bin", "/etc": null, "/usr": null });
    expect(
      [...readRoot().keys()].filter((path) => !/^\/(usr|s?bin|lib(32|64|x32)?)$/.test(path)),
    ).toEqual([]);
  });
});

const NO_GROUP = { joinFiles: [], uid: undefined };

describe("the chain around bubblewrap", () => {
  test("as root: the group, another user, no rights, limits", () => {
    const joinFiles = ["/g/memory/cgroup.procs", "/g/pids/cgroup.procs"];
    const chain = chainArguments({ joinFiles, uid: 1_900_000_001 }, DEFAULT_LIMITS);
    expect(chain.slice(0, 2)).toEqual(["sh", "-c"]);
    expect(chain.slice(3, 7)).toEqual([
      "sh",
      "/g/memory/cgroup.procs",
      "/g/pids/cgroup.procs",
      "--",
    ]);
    expect(chain.slice(7, chain.indexOf("prlimit"))).toEqual([
      "setpriv", "--reuid=1900000001", "--regid=1900000001", "--clear-groups",
      "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--",
    ]); // biome-ignore format: one line
    const limits = chain.slice(chain.indexOf("prlimit"));
    for (const limit of [
      "--core=0",
      `--fsize=${DEFAULT_LIMITS.workspaceBytes}`,
      `--nofile=${DEFAULT_LIMITS.openFiles}`,
      "--memlock=65536",
      "--rtprio=0",
      "--nice=0",
    ])
      expect(limits).toContain(limit);
    expect(limits.filter((limit) => /--(cpu|data)=/.test(limit))).toEqual([]);
    expect(chain.at(-1)).toBe("--");
  });

  test("as another user: no new rights; without a group: limits on each process", () => {
    const chain = chainArguments(NO_GROUP, { ...DEFAULT_LIMITS, cpuMs: 1_500 });
    expect(chain.slice(0, 3)).toEqual(["setpriv", "--no-new-privs", "--"]);
    expect(chain).toContain(`--data=${DEFAULT_LIMITS.memoryBytes}`);
    expect(chain).toContain("--cpu=2");
  });

  test("inside, the number of processes is limited, and arguments stay arguments", () => {
    const argv = ["sh", "-c", "; id", "--", "$(id)"];
    const inside = insideArguments(argv, DEFAULT_LIMITS);
    expect(inside.slice(0, 2)).toEqual(["/bin/sh", "-c"]);
    expect(inside[2]).not.toContain("id;");
    expect(inside.slice(3)).toEqual(["sh", "256", ...argv]);
  });
});

describe("a setuid bubblewrap", () => {
  const bwrap = (mode: number) => {
    const made = folder();
    writeFileSync(join(made, "bwrap"), "");
    chmodSync(join(made, "bwrap"), mode);
    return made;
  };

  test("is refused with the remedy", () => {
    const setuid = bwrap(0o4755);
    expect(() => refuseSetuid([setuid])).toThrow(
      expect.objectContaining({
        code: "sandbox_unavailable",
        message: expect.stringContaining(`chmod u-s ${setuid}/bwrap`),
      }),
    );
    expect(() => refuseSetuid([folder(), "/nowhere", setuid, bwrap(0o755)])).toThrow("setuid");
    expect(() => refuseSetuid([bwrap(0o644), setuid])).toThrow("setuid");
  });

  test("counts only where it is the first one on the path; a missing one is no error here", () => {
    expect(() => refuseSetuid([bwrap(0o755), bwrap(0o4755)])).not.toThrow();
    expect(() => refuseSetuid([folder(), "/nowhere"])).not.toThrow();
  });
});
