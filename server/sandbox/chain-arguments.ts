/**
 * The command line around bubblewrap: small programs that each take a right away and run the next
 * one. A shell joins the control group, `setpriv` changes the user, `prlimit` sets limits. Pure.
 */
import type { ChildLimits } from "./confinement.ts";

/**
 * Makes the kernel end a child before the server when the machine runs out of memory
 * (`oom_score_adj`, from -1000 to 1000).
 */
const OOM_SCORE = 500;

const JOIN_GROUP =
  `{ echo ${OOM_SCORE} >/proc/self/oom_score_adj; } 2>/dev/null; ` +
  'while [ "$1" != -- ]; do echo 0 >"$1" || exit 97; shift; done; shift; exec "$@"';

export interface Chain {
  /** Files of the control group, to each of which the shell writes 0; empty for none. */
  readonly joinFiles: readonly string[];
  /** The child's user outside; undefined for a server that is not root. */
  readonly uid: number | undefined;
  /** The processors that the child has for its own; undefined for all. */
  readonly cores?: readonly number[] | undefined;
}

/** A limit on each process: its name for `prlimit`, and its number in `asm-generic/resource.h`. */
interface ResourceLimit {
  readonly name: string;
  readonly number: number;
  readonly value: number;
}

/** The limits on each process of a child, also where no group limits them together. */
export function resourceLimits(
  { joinFiles }: Pick<Chain, "joinFiles">,
  limits: ChildLimits,
): ResourceLimit[] {
  const { workspaceBytes, shmBytes, openFiles, cpuMs, memoryBytes } = limits;
  return [
    // Keeps a core file from filling the workspace. A file, also a sparse one, may be as large as
    // the workspace, or as the shared memory.
    { name: "core", number: 4, value: 0 },
    { name: "fsize", number: 1, value: Math.max(workspaceBytes, shmBytes) },
    { name: "nofile", number: 7, value: openFiles },
    // Keeps a child from locking memory, which the kernel cannot take back. Ciphers, such as those
    // of ffmpeg, warn below the usual 64 KiB.
    { name: "memlock", number: 8, value: 65_536 },
    // Keeps a real-time process from taking a processor whatever the group's share is, where the
    // server's user may have one.
    { name: "rtprio", number: 14, value: 0 },
    { name: "nice", number: 13, value: 0 },
    ...(Number.isFinite(cpuMs)
      ? [{ name: "cpu", number: 0, value: Math.ceil(cpuMs / 1_000) }]
      : []),
    // Limits the memory of each process where no group counts that of the whole child.
    ...(joinFiles.length > 0 ? [] : [{ name: "data", number: 2, value: memoryBytes }]),
  ];
}

export function chainArguments({ joinFiles, uid, cores }: Chain, limits: ChildLimits): string[] {
  const hasGroup = joinFiles.length > 0;
  // biome-ignore format: one attack, one line
  return [
    // Puts the whole tree into the group from its first process on.
    ...(hasGroup ? ["sh", "-c", JOIN_GROUP, "sh", ...joinFiles, "--"] : []),
    // Lets programs count the processors that they may use. The group is the limit.
    ...(cores ? ["taskset", "-c", cores.join(",")] : []),
    "setpriv",
    // Keeps a child that breaks out from being root: the host's files and processes would be open
    // to it. A user for each child keeps siblings from using up each other's quotas.
    ...(uid === undefined ? [] : [
      `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups",
      "--inh-caps=-all", "--bounding-set=-all",
    ]),
    // Keeps setuid programs from giving rights.
    "--no-new-privs", "--",
    "prlimit",
    ...resourceLimits({ joinFiles }, limits).map(({ name, value }) => `--${name}=${value}`),
    "--",
  ];
}
