/** The files of a control group that limit a child, for both versions. */
import type { ChildLimits } from "./confinement.ts";
import type { Controller } from "./hierarchy.ts";

/**
 * 4 processes of the sandbox's own: two of bubblewrap, the shell that packs artifacts, and the
 * program around a terminal.
 */
const OWN_PROCESSES = 4;
const CPU_PERIOD_US = 100_000;
/**
 * An eighth of the memory limit, which sockets may take beside it: all of them on version 1, and
 * those that the child does not accept on any.
 */
export const SOCKETS_PART = 8;
/** The kernel refuses a smaller quota. */
const MIN_QUOTA_US = 1_000;

/** A limit as the kernel takes it. */
export interface GroupLimit {
  readonly controller: Controller;
  readonly file: string;
  readonly value: string | number;
  /** Whether some kernels lack the file, and do not count what it limits. */
  readonly optional?: true;
}

/** The limits to write, in their order. Pure. */
export function groupLimits(version: 1 | 2, limits: ChildLimits): GroupLimit[] {
  const { memoryBytes, processes, cpus } = limits;
  const quota = Number.isFinite(cpus)
    ? Math.max(MIN_QUOTA_US, Math.round(cpus * CPU_PERIOD_US))
    : undefined;
  // Stops a fork bomb from taking the machine's process table.
  const pids = { controller: "pids", file: "pids.max", value: processes + OWN_PROCESSES } as const;
  const memory = (file: string, value: number): GroupLimit => ({
    controller: "memory",
    file,
    value,
  });
  const cpu = (file: string, value: string | number): GroupLimit => ({
    controller: "cpu",
    file,
    value,
  });
  if (version === 2)
    return [
      pids,
      // Stops many processes, tmpfs or page cache from taking memory together. Swap would only make
      // the limit slow.
      memory("memory.max", memoryBytes),
      { ...memory("memory.swap.max", 0), optional: true },
      // Makes the kernel end the whole child, not one process that it picks.
      memory("memory.oom.group", 1),
      // Stops a child from keeping the processors from others.
      ...(quota === undefined ? [] : [cpu("cpu.max", `${quota} ${CPU_PERIOD_US}`)]),
    ];
  return [
    pids,
    memory("memory.limit_in_bytes", memoryBytes),
    { ...memory("memory.memsw.limit_in_bytes", memoryBytes), optional: true },
    // Stops TCP and UDP sockets from taking memory: version 1 counts theirs apart, and only with a
    // limit.
    {
      ...memory("memory.kmem.tcp.limit_in_bytes", Math.floor(memoryBytes / SOCKETS_PART)),
      optional: true,
    },
    ...(quota === undefined
      ? []
      : [cpu("cpu.cfs_period_us", CPU_PERIOD_US), cpu("cpu.cfs_quota_us", quota)]),
  ];
}
