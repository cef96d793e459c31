/** The command line of bubblewrap, which makes a child's namespaces and file system. Pure. */
import { join } from "node:path";
import type { ChildLimits, Confinement } from "./confinement.ts";
import { BEGIN_FD, FILTER_FD, STATUS_FD, STDERR_FD } from "./fds.ts";
import type { RootEntries } from "./root.ts";
import type { Program } from "./sandbox.ts";

/** The child's working folder: private, writable, and removed with the child. */
const WORKSPACE = "/work";
/** 64 MiB per child in `/tmp`. */
const TMP_BYTES = 64 * 1024 * 1024;
/** 8 MiB per child in `/dev/shm`. */
const SHM_BYTES = 8 * 1024 * 1024;

/** Host paths that system programs need beside `/usr`, where they exist. None holds a secret. */
const SYSTEM_FILES = [
  "/etc/alternatives",
  "/etc/ld.so.cache",
  "/etc/fonts",
  "/etc/localtime",
  "/etc/ssl/certs",
  "/etc/mime.types",
];
/** Host files that resolve names. A child sees them only with the host's network. */
const NETWORK_FILES = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf"];

/** The variables of a child that its spec and its pool may replace. */
export const BASE_ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: WORKSPACE,
  TMPDIR: "/tmp",
  LANG: "C.UTF-8",
};

/** Arguments of bubblewrap for a program, up to the `--` before the program's own. */
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
  const bindTry = (path: string) => ["--ro-bind-try", path, path];
  const env = Object.entries({ ...BASE_ENVIRONMENT, ...program.env, ...grants.env });
  // biome-ignore format: one attack, one line
  return [
    // Hides the host's processes, files, IPC, host name and groups. Inside, no namespace can be
    // made: a child would be root in it and reach the kernel's less tested parts.
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--disable-userns",
    // Cuts the child off from Consul, from the cloud's metadata and from the server itself.
    ...(grants.network === "none" ? ["--unshare-net"] : []),
    // Shows the same user to every child, so that the host's users stay hidden.
    "--uid", "65534", "--gid", "65534", "--hostname", "child",
    // Ends the child with the server, however that ends: a daemon would live on and hold its output
    // open.
    "--die-with-parent",
    // Keeps a child from pushing input into the terminal in which the server was started.
    "--new-session",
    "--cap-drop", "ALL",
    // Hides the server's environment, which may hold Consul's token.
    "--clearenv",
    ...env.flatMap(([name, value]) => ["--setenv", name, value]),
    ...[...root].flatMap(([path, target]) =>
      target === null ? bind(path) : ["--symlink", target, path]),
    ...(curated === undefined ? SYSTEM_FILES.flatMap(bindTry) : []),
    ...(grants.network === "host" ? NETWORK_FILES.flatMap(bindTry) : []),
    // Shows only the child's own processes, and devices that hold nothing.
    "--proc", "/proc", "--dev", "/dev",
    ...grants.devices.flatMap((path) => ["--dev-bind", path, path]),
    // Each writable folder has a size, because it is memory.
    "--size", String(SHM_BYTES), "--tmpfs", "/dev/shm",
    "--size", String(TMP_BYTES), "--tmpfs", "/tmp",
    "--size", String(limits.workspaceBytes), "--perms", "0700", "--tmpfs", WORKSPACE,
    ...[...program.readOnly, ...grants.readOnly].flatMap(({ from, to }) => ["--ro-bind", from, to]),
    // Closes what bubblewrap made itself: a writable tmpfs of half the memory.
    "--remount-ro", "/dev", "--remount-ro", "/",
    // Keeps a child from lowering its `oom_score_adj`: the kernel would end the server before it.
    "--remount-ro", "/proc",
    "--chdir", WORKSPACE,
    // Keeps the child from the system calls that only attacks need.
    "--seccomp", String(FILTER_FD),
    "--json-status-fd", String(STATUS_FD),
    // Tells the server that the sandbox is complete, and that the program comes next.
    "--block-fd", String(BEGIN_FD),
  ];
}

/**
 * Gives the program its own stderr. Limits the number of processes inside the user namespace, where
 * the kernel counts them under the child's user. dash and bash name the option differently.
 */
const LIMIT_PROCESSES =
  `exec 2>&${STDERR_FD} ${STDERR_FD}>&-; ` +
  'ulimit -u "$1" 2>/dev/null || ulimit -p "$1" 2>/dev/null; shift; exec "$@"';

/** The command line that runs inside bubblewrap. */
export function insideArguments(argv: readonly string[], limits: ChildLimits): string[] {
  return ["/bin/sh", "-c", LIMIT_PROCESSES, "sh", String(limits.processes), ...argv];
}
