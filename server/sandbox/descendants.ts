/** Looks for processes that a program has started, where no control group counts them. */
import { readdirSync, readFileSync } from "node:fs";

/**
 * Whether a process has children of its own, started by any of its threads.
 *
 * @returns false for a process that has ended.
 */
export function hasChildren(pid: number): boolean {
  return childrenOf(pid).length > 0;
}

/**
 * Whether the program is the only process of its sandbox. The sandbox's first process adopts each
 * process whose parent has ended.
 *
 * @param firstPid the host's pid of the sandbox's first process.
 */
export function hasOneDescendant(firstPid: number): boolean {
  const [program, ...others] = childrenOf(firstPid);
  return program !== undefined && others.length === 0 && !hasChildren(program);
}

/** The resident memory of a process and all its descendants, in bytes; 0 for one that has ended. */
export function residentBytes(pid: number): number {
  let kibibytes = 0;
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    kibibytes = Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0);
  } catch {
    // The process has ended in this moment.
  }
  return childrenOf(pid).reduce((sum, child) => sum + residentBytes(child), kibibytes * 1024);
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8")
        .split(" ")
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    // The process, or a thread of it, has ended in this moment.
    return [];
  }
}
