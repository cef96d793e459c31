/** The command line of bubblewrap, which makes a child's namespaces and file system. Pure. */
import { join } from "node:path";
import type { ChildLimits, Confinement, Grants, ReadOnlyBind } from "./confinement.ts";
import { PROXY_ENVIRONMENT } from "./egress/listener.ts";
import type { Egress } from "./egress/proxy.ts";
import { environmentOf, type Host } from "./environment.ts";
import type { Etc } from "./etc.ts";
import { HOST_NAME, NETWORK_FILES, USER_NAME, WORKSPACE } from "./etc-parts.ts";
import { BEGIN_FD, CALL_FD, FILTER_FD, STATUS_FD, STDERR_FD } from "./fds.ts";
import { shellNames } from "./odd-names.ts";
import type { RootEntries } from "./root.ts";
import type { Program } from "./sandbox.ts";

/** 64 MiB per child in `/tmp`. */
const TMP_BYTES = 64 * 1024 * 1024;

/** The parts of the machine that a child gets, beside its pool's limits and grants. */
export interface HostParts extends Host {
  readonly root: RootEntries;
  /** The child's `/etc`; undefined for a curated root, which has its own. */
  readonly etc: Etc | undefined;
  /** The child's own control group; empty for none. */
  readonly group: readonly ReadOnlyBind[];
}

/** The variables of a child that its spec and its pool may replace. */
export const BASE_ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: WORKSPACE,
  USER: USER_NAME,
  LOGNAME: USER_NAME,
  TMPDIR: "/tmp",
  LANG: "C.UTF-8",
};

/** The list of what a child may reach; undefined for none, and for the host's network. */
export function egressOf({ network }: Grants): Egress | undefined {
  return typeof network === "object" ? network : undefined;
}

/** The variables of a program, by names that shells know. */
export function variablesOf(
  program: Program,
  confinement: Confinement,
  host: Host,
): Record<string, string> {
  const proxy = egressOf(confinement.grants) && PROXY_ENVIRONMENT;
  const own = { ...BASE_ENVIRONMENT, ...proxy, ...program.env };
  return shellNames(environmentOf(own, confinement, host));
}

/** Arguments of bubblewrap for a program, up to the `--` before the program's own. */
export function bubblewrapArguments(
  program: Program,
  confinement: Confinement,
  host: HostParts,
): string[] {
  const { limits, grants } = confinement;
  const { etc } = host;
  const bind = (path: string) => ["--ro-bind", join(grants.root ?? "/", path), path];
  const bindTry = (path: string) => ["--ro-bind-try", path, path];
  // Perl, which opens the way to the proxy, must not get variables of a caller.
  const env = Object.entries(
    egressOf(grants) ? BASE_ENVIRONMENT : variablesOf(program, confinement, host),
  );
  // biome-ignore format: one attack, one line
  return [
    // Hides the host's processes, files, IPC, host name and groups. Inside, no namespace can be
    // made: a child would be root in it and reach the kernel's less tested parts.
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--disable-userns",
    // Cuts the child off from Consul, from the cloud's metadata and from the server itself.
    ...(grants.network === "host" ? [] : ["--unshare-net"]),
    // Shows the same user to every child, so that the host's users stay hidden.
    "--uid", "65534", "--gid", "65534", "--hostname", HOST_NAME,
    // Ends the child with the server, however that ends: a daemon would live on and hold its output
    // open.
    "--die-with-parent",
    // Keeps a child from pushing input into the terminal in which the server was started.
    "--new-session",
    "--cap-drop", "ALL",
    // Hides the server's environment, which may hold Consul's token.
    "--clearenv",
    ...env.flatMap(([name, value]) => ["--setenv", name, value]),
    ...[...host.root].flatMap(([path, target]) =>
      target === null ? bind(path) : ["--symlink", target, path]),
    // Hides the host's users, names and keys: only made-up files and harmless parts are there.
    ...(etc ? ["--ro-bind", etc.folder, "/etc", ...etc.live.flatMap(bindTry)] : []),
    ...(!etc && grants.network === "host" ? NETWORK_FILES.flatMap(bindTry) : []),
    // Shows only the child's own processes, and devices that hold nothing.
    "--proc", "/proc", "--dev", "/dev",
    ...grants.devices.flatMap((path) => ["--dev-bind", path, path]),
    // Each writable folder has a size, because it is memory.
    "--size", String(limits.shmBytes), "--tmpfs", "/dev/shm",
    "--size", String(TMP_BYTES), "--tmpfs", "/tmp",
    "--size", String(limits.workspaceBytes), "--perms", "0700", "--tmpfs", WORKSPACE,
    // Shows the child the limits of its own group. The namespace hides the group's path, and the
    // bind the groups beside it. Writing would loosen the limits.
    ...host.group.flatMap(({ from, to }) => ["--ro-bind", from, to]),
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

/** Reads the arguments and the variables from the call, which `prepared.ts` writes. */
const AWAIT_CALL = `. /proc/self/fd/${CALL_FD}; exec ${CALL_FD}<&-; `;

/**
 * The command line that runs inside bubblewrap.
 *
 * @param argv undefined for a program that comes later.
 */
export function insideArguments(argv: readonly string[] | undefined, limits: ChildLimits) {
  return argv
    ? ["/bin/sh", "-c", LIMIT_PROCESSES, "sh", String(limits.processes), ...argv]
    : ["/bin/sh", "-c", AWAIT_CALL + LIMIT_PROCESSES, "sh"];
}
