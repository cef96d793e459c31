/**
 * The sandbox of Linux, as a chain of small programs that each take something away and run the next one: a shell joins the
 * control group, `setpriv` gives up the user, `prlimit` sets limits, bubblewrap makes the namespaces and loads the filter.
 */

import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PoolError } from "../../openapi/errors.ts";
import type { SandboxLevel } from "../../openapi/limits.ts";
import { type Cgroup, Cgroups } from "./cgroup.ts";
import type { ChildLimits, Confinement } from "./confinement.ts";
import { Identities, Staging } from "./identity.ts";
import { Janitor } from "./janitor.ts";
import { DEPTH_WITH_ARTIFACTS, packed } from "./packing.ts";
import { Pipes } from "./pipes.ts";
import { FILTER_FD, launch, STATUS_FD } from "./process.ts";
import type { Program, Sandbox, SandboxedProcess } from "./sandbox.ts";
import { seccompArch, seccompProgram } from "./seccomp.ts";

/** Where the child works: private, writable, gone with the child. */
export const WORKSPACE = "/work";
const TMP_BYTES = 64 * 1024 * 1024;
const SHM_BYTES = 8 * 1024 * 1024;

/** Host paths that programs of the system need beside `/usr`; shown where they exist. None holds a secret. */
const SYSTEM_FILES = [
  "/etc/alternatives",
  "/etc/ld.so.cache",
  "/etc/fonts",
  "/etc/localtime",
  "/etc/ssl/certs",
  "/etc/mime.types",
];
/** What finds names on the network, shown with the host's network only. */
const NETWORK_FILES = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf"];

/** Directories that a merged `/usr` makes symbolic links, and an older system does not. */
const ROOT_DIRECTORIES = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/** In a curated root, what the sandbox makes itself. */
const NOT_OF_ROOT = new Set(["proc", "sys", "dev", "tmp", "run", "work"]);

/** What stands at the top of the child's file system: by path, a link's target, or null for a folder or file to bind. */
export type RootEntries = ReadonlyMap<string, string | null>;

/** @param root a curated root file system; undefined for the host's own system folders. */
export function readRoot(root?: string): RootEntries {
  const paths =
    root === undefined
      ? ROOT_DIRECTORIES
      : readdirSync(root)
          .filter((name) => !NOT_OF_ROOT.has(name))
          .map((name) => `/${name}`);
  const found = new Map<string, string | null>();
  for (const path of paths) {
    const own = join(root ?? "/", path);
    const stat = lstatSync(own, { throwIfNoEntry: false });
    if (stat) found.set(path, stat.isSymbolicLink() ? readlinkSync(own) : null);
  }
  return found;
}

const BASE_ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: WORKSPACE,
  TMPDIR: "/tmp",
  LANG: "C.UTF-8",
};

/** bubblewrap's arguments for a program. Pure. */
export function bubblewrapArguments(
  program: Program,
  { limits, grants }: Confinement,
  root: RootEntries,
): string[] {
  const { root: curated } = grants;
  const bind = (path: string) => [
    "--ro-bind",
    curated === undefined ? path : join(curated, path),
    path,
  ];
  return [
    // No process, file system, IPC, host name or group of the host is in sight; and no namespace can be made inside, in
    // which a child would be root and reach the kernel's less tested parts.
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--disable-userns",
    // No way to Consul, to the cloud's metadata, or to the server itself.
    ...(grants.network === "none" ? ["--unshare-net"] : []),
    // The same for every child, so that nothing of the host's users shows.
    "--uid", "65534", "--gid", "65534", "--hostname", "child",
    // Ends the child with the server, however that ends: daemons would live on and hold its output open.
    "--die-with-parent",
    // Keeps a child from pushing input into the terminal of whoever started the server.
    "--new-session",
    "--cap-drop", "ALL",
    // Nothing of the server's environment, which may hold Consul's token.
    "--clearenv",
    ...Object.entries({ ...BASE_ENVIRONMENT, ...program.env, ...grants.env }).flatMap(([name, value]) => ["--setenv", name, value]),
    ...[...root].flatMap(([path, target]) => (target === null ? bind(path) : ["--symlink", target, path])),
    ...(curated === undefined ? SYSTEM_FILES.flatMap((path) => ["--ro-bind-try", path, path]) : []),
    ...(grants.network === "host" ? NETWORK_FILES.flatMap((path) => ["--ro-bind-try", path, path]) : []),
    // Its own processes only; and devices that hold nothing.
    "--proc", "/proc", "--dev", "/dev",
    ...grants.devices.flatMap((path) => ["--dev-bind", path, path]),
    // Each writable place has a size: they are memory.
    "--size", String(SHM_BYTES), "--tmpfs", "/dev/shm",
    "--size", String(TMP_BYTES), "--tmpfs", "/tmp",
    "--size", String(limits.workspaceBytes), "--perms", "0700", "--tmpfs", WORKSPACE,
    ...[...program.readOnly, ...grants.readOnly].flatMap(({ from, to }) => ["--ro-bind", from, to]),
    // What bubblewrap made itself is a writable tmpfs of half the memory unless closed.
    "--remount-ro", "/dev", "--remount-ro", "/",
    "--chdir", WORKSPACE,
    // Keeps the child from the kernel's calls that only attacks need.
    "--seccomp", String(FILTER_FD),
    "--json-status-fd", String(STATUS_FD),
  ]; // biome-ignore format: flags and values side by side
}

/** Sets the number of processes where it counts, inside the user namespace and under its user; dash and bash name the option differently. */
const INSIDE = 'ulimit -u "$1" 2>/dev/null || ulimit -p "$1" 2>/dev/null; shift; exec "$@"';

/** What is run inside bubblewrap. Pure. */
export function insideArguments(argv: readonly string[], limits: ChildLimits): string[] {
  return ["/bin/sh", "-c", INSIDE, "sh", String(limits.processes), ...argv];
}

/** Where the machine itself is out of memory, the kernel takes a child before the server (`oom_score_adj`, -1000 to 1000). */
const EXPENDABLE = 500;

const JOIN = `{ echo ${EXPENDABLE} >/proc/self/oom_score_adj; } 2>/dev/null; while [ "$1" != -- ]; do echo 0 >"$1" || exit 97; shift; done; shift; exec "$@"`;

/** What is run around bubblewrap. Pure. `uid` is undefined for a server that is no root. */
export function chainArguments(
  joinFiles: readonly string[],
  uid: number | undefined,
  limits: ChildLimits,
): string[] {
  return [
    // The whole tree is in the group from its first process on.
    ...(joinFiles.length > 0 ? ["sh", "-c", JOIN, "sh", ...joinFiles, "--"] : []),
    "setpriv",
    // Root outside is nobody outside: files and processes of the host would be open to whoever breaks out. A user of its
    // own for each child keeps siblings from using up each other's quotas.
    ...(uid === undefined ? [] : [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]),
    // Setuid programs give no rights.
    "--no-new-privs", "--",
    "prlimit",
    // A core file would fill the workspace; a file may be as large as the workspace, a sparse one too.
    "--core=0", `--fsize=${limits.workspaceBytes}`,
    `--nofile=${limits.openFiles}`,
    // Locked memory cannot be taken back by the kernel; ciphers, which ffmpeg has, warn below the 64 KiB that they are used to.
    "--memlock=65536",
    // Where the server's user may have them: a process of real time takes a processor whatever the group's share is.
    "--rtprio=0", "--nice=0",
    ...(Number.isFinite(limits.cpuMs) ? [`--cpu=${Math.ceil(limits.cpuMs / 1_000)}`] : []),
    // Where no group counts the whole child, at least each of its processes has a bound.
    ...(joinFiles.length > 0 ? [] : [`--data=${limits.memoryBytes}`]),
    "--",
  ]; // biome-ignore format: programs and flags side by side
}

/** Runs children under bubblewrap. */
export class Bubblewrap implements Sandbox {
  readonly level: SandboxLevel;
  readonly folder: string;
  readonly #groups: Cgroups | undefined;
  readonly #identities = new Identities();
  readonly #staging: Staging;
  readonly #pipes: Pipes;
  readonly #janitor: Janitor;
  /** The seccomp filter, in a file that has no name any more. */
  readonly #filterFd: number;
  readonly #roots = new Map<string | undefined, RootEntries>();
  readonly #running = new Set<SandboxedProcess>();
  #closing: Promise<void> | undefined;

  /**
   * @param level `full`, or `no-cgroup` to do without limits on the whole of a child.
   * @throws {PoolError} `sandbox_unavailable` when groups cannot be made, on an architecture without a filter, and for a
   *   setuid bubblewrap, which would run a child's set-up as root.
   */
  constructor(level: Extract<SandboxLevel, "full" | "no-cgroup">) {
    this.level = level;
    const arch = seccompArch(process.arch);
    if (arch === undefined)
      throw PoolError.of(
        "sandbox_unavailable",
        `expected the architecture x64 or arm64, for which there is a seccomp filter; this is ${process.arch}`,
      );
    refuseSetuid(BASE_ENVIRONMENT.PATH.split(":"));
    const name = `distributed-pool-${process.pid}-${randomBytes(4).toString("hex")}`;
    this.#groups = level === "full" ? new Cgroups(name) : undefined;
    this.folder = join(tmpdir(), name);
    // Before there is anything to clean up: a server may be killed at any moment.
    this.#janitor = new Janitor(this.#groups?.folders ?? [], [this.folder]);
    try {
      this.#groups?.make();
      mkdirSync(this.folder, { mode: 0o700 });
    } catch (error) {
      void this.#janitor.clean();
      throw error;
    }
    // The children's user passes through, and sees no names.
    chmodSync(this.folder, 0o711);
    this.#staging = new Staging(this.folder, this.#identities.active);
    this.#pipes = new Pipes(this.folder);
    const file = join(this.folder, "filter");
    writeFileSync(file, seccompProgram(arch), { mode: 0o600 });
    this.#filterFd = openSync(file, "r");
    unlinkSync(file);
  }

  async launch(program: Program, confinement: Confinement): Promise<SandboxedProcess> {
    const { limits, grants } = confinement;
    const readOnly = await Promise.all(
      program.readOnly.map(async ({ from, to }) => ({
        from: await this.#staging.reachable(from),
        to,
      })),
    );
    const uid = this.#identities.take();
    let group: Cgroup | undefined;
    let filterFd: number | undefined;
    try {
      group = this.#groups?.create(limits);
      // A description of its own, since each has its place in the file.
      filterFd = openSync(`/proc/self/fd/${this.#filterFd}`, "r");
      const inside = bubblewrapArguments(
        { ...program, readOnly },
        confinement,
        this.#root(grants.root),
      );
      const argv = insideArguments(
        packed(program.argv, {
          files: program.files !== undefined,
          artifacts: program.artifacts ?? [],
        }),
        limits,
      );
      const child = await launch(
        program,
        {
          argv: [
            ...chainArguments(group?.joinFiles ?? [], uid, limits),
            "bwrap",
            "--args",
            "4",
            "--",
            ...argv,
          ],
          // bubblewrap's own environment is readable inside, at /proc/1/environ: it gets none of the server's.
          env: { PATH: BASE_ENVIRONMENT.PATH },
          // Through a descriptor: the environment and the paths stay out of the process list.
          arguments: Buffer.from(inside.map((argument) => `${argument}\0`).join("")),
          filterFd,
          status: true,
          depth: program.artifacts?.length ? DEPTH_WITH_ARTIFACTS : 0,
          group,
          cpuMs: limits.cpuMs,
        },
        this.#pipes,
      );
      this.#running.add(child);
      void child.exited.then(() => {
        this.#running.delete(child);
        this.#identities.give(uid);
      });
      return child;
    } catch (error) {
      this.#identities.give(uid);
      await group?.remove();
      throw PoolError.of(
        "sandbox_unavailable",
        `could not start the child: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
    } finally {
      if (filterFd !== undefined) closeSync(filterFd);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const child of this.#running) child.kill();
    await Promise.all([...this.#running].map((child) => child.exited));
    await this.#pipes.close();
    closeSync(this.#filterFd);
    await this.#janitor.clean();
  }

  #root(path: string | undefined): RootEntries {
    let root = this.#roots.get(path);
    if (!root) {
      root = readRoot(path);
      this.#roots.set(path, root);
    }
    return root;
  }
}

/**
 * Refuses a bubblewrap that runs as root.
 *
 * @param folders where it is looked for; the first that is found is the one that runs.
 * @throws {PoolError} `sandbox_unavailable`.
 */
export function refuseSetuid(folders: readonly string[]): void {
  for (const folder of folders) {
    const stat = statSync(join(folder, "bwrap"), { throwIfNoEntry: false });
    if (!stat?.isFile() || (stat.mode & 0o111) === 0) continue;
    if ((stat.mode & 0o4000) === 0) return;
    throw PoolError.of(
      "sandbox_unavailable",
      `${folder}/bwrap is setuid, so a flaw in it would make a child root. Mend it with: chmod u-s ${folder}/bwrap`,
    );
  }
}
