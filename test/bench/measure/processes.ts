/** The cost of processes, as the kernel counts it in `/proc`. */
import { readdirSync, readFileSync } from "node:fs";

/** 10 ms in a tick of `/proc/PID/stat`: USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;
const NS_PER_MS = 1e6;

/** The fields of `/proc/PID/stat` behind the name, which may hold spaces and parentheses. */
function statOf(pid: number | string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/**
 * The processor time of a process in milliseconds, its threads included and its children not. The
 * scheduler counts in nanoseconds. Threads that have ended are missing; a server's threads stay.
 */
export function cpuMsOf(pid: number): number {
  try {
    const nanoseconds = readdirSync(`/proc/${pid}/task`).map((task) =>
      Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]),
    );
    return nanoseconds.reduce((sum, each) => sum + each, 0) / NS_PER_MS;
  } catch {
    const [, , , , , , , , , , , user = "0", system = "0"] = statOf(pid) ?? [];
    return (Number(user) + Number(system)) * TICK_MS;
  }
}

/** All processes below a process, without itself. */
export function descendantsOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = Number(statOf(entry)?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found: number[] = [];
  const visit = (pid: number) => {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      visit(child);
    }
  };
  visit(root);
  return found;
}

/** How many processes of `node` below a process run functions, or wait for one. */
export function runnersOf(root: number): number {
  const isRunner = (pid: number) => {
    try {
      const [program = "", ...rest] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return program.endsWith("/node") && rest.some((each) => each.includes("runner"));
    } catch {
      return false;
    }
  };
  return descendantsOf(root).filter(isRunner).length;
}

/**
 * The processor time in milliseconds of everything below a process, in steps of 10. A process that
 * has ended counts in the parent that waited for it.
 */
export function childrenCpuMsOf(root: number): number {
  const sum = (pid: number, from: number) =>
    (statOf(pid)?.slice(from, 15) ?? []).reduce((total, ticks) => total + Number(ticks), 0);
  // The fields are utime, stime, cutime and cstime. The root counts only those of its children.
  const ticks = descendantsOf(root).reduce((total, pid) => total + sum(pid, 11), sum(root, 13));
  return ticks * TICK_MS;
}

/** How often a process has called the kernel to read and to write. */
export function kernelCallsOf(pid: number): { readonly reads: number; readonly writes: number } {
  const text = readFileSync(`/proc/${pid}/io`, "utf8");
  const count = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, "m").exec(text)?.[1] ?? 0);
  return { reads: count("syscr"), writes: count("syscw") };
}

/** The memory of a process in bytes: resident, and its share of what several processes map. */
export function memoryOf(pid: number): { readonly rss: number; readonly pss: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN) * 1024;
  return { rss: bytes("Rss"), pss: bytes("Pss") };
}
