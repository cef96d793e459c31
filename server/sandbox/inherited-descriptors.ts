/**
 * Keeps a child from descriptors that somebody else opened in this process without close-on-exec.
 * Node itself opens every descriptor with close-on-exec.
 */
import { openSync, readdirSync, readFileSync } from "node:fs";

const O_CLOEXEC = 0o2000000;

/** The `stdio` option of `spawn`, by descriptor. */
export type Stdio = ("ignore" | "pipe" | "ipc" | number)[];

/** Read once: Node closes in a child whatever it opens later. */
let inherited: { readonly fds: readonly number[]; readonly devNull: number } | undefined;

/** Opens `/dev/null` in the child at each descriptor that the child would inherit otherwise. */
export function withoutInherited(stdio: Stdio): Stdio {
  if (!inherited) {
    const fds = inheritedDescriptors();
    inherited = { fds, devNull: fds.length > 0 ? openSync("/dev/null", "r+") : -1 };
  }
  for (const fd of inherited.fds) {
    while (stdio.length <= fd) stdio.push("ignore");
    if (stdio[fd] === "ignore") stdio[fd] = inherited.devNull;
  }
  return stdio;
}

/** The inheritable descriptors above 2; none on a system without `/proc`. */
function inheritedDescriptors(): number[] {
  let open: string[];
  try {
    open = readdirSync("/proc/self/fd");
  } catch {
    return [];
  }
  return open.map(Number).filter((fd) => fd > 2 && (flagsOf(fd) & O_CLOEXEC) === 0);
}

function flagsOf(fd: number): number {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
    return Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? "", 8);
  } catch {
    // `readdirSync` listed its own descriptor, which is closed again.
    return O_CLOEXEC;
  }
}
