/** The variables of a child: its own, its pool's, and those that tell its limits. Pure. */
import type { SandboxLevel } from "../../openapi/limits.ts";
import type { ChildLimits, Confinement } from "./confinement.ts";

const MIB = 1024 * 1024;
/** Go's collector works harder from nine tenths of the limit on. */
const GO_PART = 0.9;

/** The number of processors that a program may keep busy, at least 1. */
function wholeCpus(cpus: number, machine: number): number {
  return Math.max(1, Math.min(Math.ceil(cpus), machine));
}

/** The machine's part in a child's variables. */
export interface Host {
  readonly level: SandboxLevel;
  /** The number of processors. */
  readonly cpus: number;
}

/**
 * All variables. An operator's replace any, and a caller's those that runtimes read.
 *
 * @param own the variables of the program.
 */
export function environmentOf(
  own: Readonly<Record<string, string>>,
  { limits, grants }: Confinement,
  host: Host,
): Record<string, string> {
  return {
    ...(grants.limitVariables && runtimeVariables(limits, host)),
    ...own,
    POOL_MEMORY_BYTES: String(limits.memoryBytes),
    POOL_CPUS: String(Math.min(limits.cpus, host.cpus)),
    ...grants.env,
  };
}

function runtimeVariables({ memoryBytes, cpus }: ChildLimits, host: Host): Record<string, string> {
  // Nothing holds a plain process to the limits.
  if (host.level === "none") return {};
  const count = Number.isFinite(cpus) ? String(wholeCpus(cpus, host.cpus)) : undefined;
  const java = [
    `-XX:MaxRAM=${memoryBytes}`,
    ...(count === undefined ? [] : [`-XX:ActiveProcessorCount=${count}`]),
  ];
  return {
    GOMEMLIMIT: String(Math.floor(memoryBytes * GO_PART)),
    // Node collects in time for this size, and a heap that is too large ends by the child's own
    // limit: `out_of_memory`, and not a crash.
    NODE_OPTIONS: `--max-old-space-size=${Math.floor(memoryBytes / MIB)}`,
    ...(count !== undefined && { GOMAXPROCS: count, OMP_NUM_THREADS: count }),
    // Java reads the control group where there is one, and prints a line about this variable.
    ...(host.level === "no-cgroup" && { JAVA_TOOL_OPTIONS: java.join(" ") }),
  };
}
