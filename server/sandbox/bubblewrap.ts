/** The sandbox of Linux: bubblewrap with namespaces of its own, a read-only system, a private workspace, no network. */
import { lstatSync, readlinkSync } from "node:fs";
import type { SandboxLevel } from "../../openapi/schemas.ts";
import { Pipes } from "./pipes.ts";
import { launch } from "./process.ts";
import type { Program, Sandbox } from "./sandbox.ts";

/** Where the child works: private, writable, gone with the child. */
export const WORKSPACE = "/work";
const WORKSPACE_BYTES = 512 * 1024 * 1024;
const TMP_BYTES = 64 * 1024 * 1024;
const SHM_BYTES = 8 * 1024 * 1024;

/** Host paths that programs of the system need beside `/usr`; shown where they exist. None holds a secret. */
const SYSTEM_FILES = ["/etc/alternatives", "/etc/ld.so.cache", "/etc/fonts", "/etc/localtime", "/etc/ssl/certs", "/etc/mime.types"];

/** Directories that a merged `/usr` makes symbolic links, and an older system does not. */
const ROOT_DIRECTORIES = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/** What the host's root looks like: a link's target, or null for a real directory. */
export type RootDirectories = ReadonlyMap<string, string | null>;

export function readRootDirectories(): RootDirectories {
  const found = new Map<string, string | null>();
  for (const path of ROOT_DIRECTORIES) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat) found.set(path, stat.isSymbolicLink() ? readlinkSync(path) : null);
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
export function bubblewrapArguments(program: Program, root: RootDirectories): string[] {
  return [
    // Namespaces: no process, network, mount or IPC of the host is in sight; and none can be made inside.
    "--unshare-all", "--unshare-user", "--disable-userns",
    "--uid", "65534", "--gid", "65534", "--hostname", "child",
    // Ends the child with the server, however that ends; keeps it from pushing input into a terminal.
    "--die-with-parent", "--new-session", "--cap-drop", "ALL",
    "--clearenv",
    ...Object.entries({ ...BASE_ENVIRONMENT, ...program.env }).flatMap(([name, value]) => ["--setenv", name, value]),
    "--ro-bind", "/usr", "/usr",
    ...[...root].flatMap(([path, target]) => (target === null ? ["--ro-bind", path, path] : ["--symlink", target, path])),
    ...SYSTEM_FILES.flatMap((path) => ["--ro-bind-try", path, path]),
    "--proc", "/proc", "--dev", "/dev",
    "--size", String(SHM_BYTES), "--tmpfs", "/dev/shm",
    "--size", String(TMP_BYTES), "--tmpfs", "/tmp",
    "--size", String(WORKSPACE_BYTES), "--perms", "0700", "--tmpfs", WORKSPACE,
    ...program.readOnly.flatMap(({ from, to }) => ["--ro-bind", from, to]),
    // What bubblewrap made itself is a writable tmpfs of half the memory unless closed.
    "--remount-ro", "/dev", "--remount-ro", "/",
    "--chdir", WORKSPACE,
    "--json-status-fd", "5",
  ]; // biome-ignore format: flags and values side by side
}

/** Runs children under bubblewrap. */
export class Bubblewrap implements Sandbox {
  readonly level: SandboxLevel = "no-cgroup";
  readonly #pipes = new Pipes();
  readonly #root = readRootDirectories();

  launch(program: Program) {
    // Through a descriptor: the environment and the paths stay out of the process list. `prlimit` also gives a program
    // that cannot be started the exit code 127 or 126, as a shell would.
    const data = Buffer.from(
      bubblewrapArguments(program, this.#root)
        .map((argument) => `${argument}\0`)
        .join(""),
    );
    const argv = ["bwrap", "--args", "4", "--", "prlimit", "--core=0", "--", ...program.argv];
    // bubblewrap's own environment is readable inside, at /proc/1/environ: it gets none of the server's.
    return launch(program, { argv, env: { PATH: BASE_ENVIRONMENT.PATH }, arguments: data, status: true }, this.#pipes);
  }

  close() {
    return this.#pipes.close();
  }
}
