/**
 * Control groups, version 1 and 2: limits on memory, processes and cpu of a whole child, what it used, and that nothing of
 * it is left. Files and their meanings: https://docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/.
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { rmdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { ChildLimits } from "./confinement.ts";
import {
  type CgroupFiles,
  type Controller,
  enable,
  nearestUsable,
  ownGroups,
  words,
  writable,
} from "./hierarchy.ts";

/** bubblewrap runs two processes beside the child's, and a shell may wait for the program. */
const OWN_PROCESSES = 4;
const CPU_PERIOD_US = 100_000;
/** On version 1, the part of the memory limit that sockets may take beside it. */
const SOCKETS_PART = 8;
/** Less would be refused by the kernel. */
const MIN_QUOTA_US = 1_000;
/** A group is empty in milliseconds once its processes are killed; longer only when one hangs in the kernel. */
const REMOVE_TIMEOUT_MS = 5_000;
const REMOVE_PAUSE_MS = [0, 1, 2, 4, 8, 16, 32];

/** The groups of one sandbox: a folder of its own in each hierarchy, and in it a group for each child. */
export class Cgroups {
  readonly version: 1 | 2;
  /** The folders that hold the children's groups, each once. */
  readonly folders: readonly string[];
  readonly #of: ReadonlyMap<Controller, string>;
  #made = 0;

  /**
   * Finds where the folders go; {@link make} makes them.
   *
   * @throws {PoolError} `sandbox_unavailable` with the reason when no limits can be set here.
   */
  constructor(
    name: string,
    files: CgroupFiles = {
      mountinfo: readFileSync("/proc/self/mountinfo", "utf8"),
      cgroup: readFileSync("/proc/self/cgroup", "utf8"),
    },
  ) {
    const own = ownGroups(files, existsSync);
    if (!own)
      throw PoolError.of(
        "sandbox_unavailable",
        "no cgroup hierarchy with memory, pids and cpu is mounted",
      );
    this.version = own.version;
    try {
      const parents =
        own.version === 2
          ? new Map([...own.folders].map(([key, path]) => [key, nearestUsable(path)]))
          : own.folders;
      this.#of = new Map([...parents].map(([key, path]) => [key, join(realpathSync(path), name)]));
      this.folders = [...new Set(this.#of.values())];
    } catch (error) {
      throw this.#unavailable(error);
    }
  }

  /**
   * Makes the folders.
   *
   * @throws {PoolError} `sandbox_unavailable` with the reason when no limits can be set here.
   */
  make(): void {
    const made: string[] = [];
    try {
      for (const folder of this.folders) {
        mkdirSync(folder);
        made.push(folder);
        const why = this.version === 2 ? enable(folder) : undefined;
        if (why !== undefined) throw new Error(why);
      }
    } catch (error) {
      for (const folder of made) rmdirSync(folder);
      throw this.#unavailable(error);
    }
  }

  #unavailable(error: unknown): PoolError {
    return PoolError.of("sandbox_unavailable", `cgroup v${this.version}: ${messageOf(error)}`, {
      cause: error,
    });
  }

  /** A group with these limits, still empty. */
  create(limits: ChildLimits): Cgroup {
    const name = String(this.#made++);
    const folders = this.folders.map((folder) => join(folder, name));
    const of = (controller: Controller) => join(this.#of.get(controller) as string, name);
    const write = (controller: Controller, file: string, value: string | number) =>
      writeFileSync(join(of(controller), file), String(value));
    try {
      for (const folder of folders) mkdirSync(folder);
      const processes = limits.processes + OWN_PROCESSES;
      // Stops a fork bomb from taking the machine's process table.
      write("pids", "pids.max", processes);
      const quota = Number.isFinite(limits.cpus)
        ? Math.max(MIN_QUOTA_US, Math.round(limits.cpus * CPU_PERIOD_US))
        : undefined;
      if (this.version === 2) {
        // Stops memory from being taken by many processes, tmpfs or page cache together; no swap, or the limit would only be slow.
        write("memory", "memory.max", limits.memoryBytes);
        if (existsSync(join(of("memory"), "memory.swap.max")))
          write("memory", "memory.swap.max", 0);
        // The whole child ends, not the one process the kernel picks.
        write("memory", "memory.oom.group", 1);
        // Stops a child from keeping the processors from others.
        if (quota !== undefined) write("cpu", "cpu.max", `${quota} ${CPU_PERIOD_US}`);
      } else {
        write("memory", "memory.limit_in_bytes", limits.memoryBytes);
        if (existsSync(join(of("memory"), "memory.memsw.limit_in_bytes")))
          write("memory", "memory.memsw.limit_in_bytes", limits.memoryBytes);
        // What TCP and UDP sockets hold is counted apart here, and without a limit not at all.
        if (existsSync(join(of("memory"), "memory.kmem.tcp.limit_in_bytes")))
          write(
            "memory",
            "memory.kmem.tcp.limit_in_bytes",
            Math.floor(limits.memoryBytes / SOCKETS_PART),
          );
        if (quota !== undefined) {
          write("cpu", "cpu.cfs_period_us", CPU_PERIOD_US);
          write("cpu", "cpu.cfs_quota_us", quota);
        }
      }
    } catch (error) {
      for (const folder of folders) if (existsSync(folder)) rmdirSync(folder);
      throw error;
    }
    return new Cgroup(this.version, folders, of);
  }
}

/** One child's group. */
export class Cgroup {
  /** Whoever writes 0 to all of these has joined. */
  readonly joinFiles: readonly string[];
  readonly #version: 1 | 2;
  readonly #folders: readonly string[];
  readonly #of: (controller: Controller) => string;

  constructor(version: 1 | 2, folders: readonly string[], of: (controller: Controller) => string) {
    this.#version = version;
    this.#folders = folders;
    this.#of = of;
    this.joinFiles = folders.map((folder) => join(folder, "cgroup.procs"));
  }

  /** Whether the kernel has killed a process of the group for want of memory. */
  get outOfMemory(): boolean {
    const file = join(
      this.#of("memory"),
      this.#version === 2 ? "memory.events" : "memory.oom_control",
    );
    return /^oom_kill [1-9]/m.test(readFileSync(file, "utf8"));
  }

  /** Processor time so far, in milliseconds. */
  get cpuMs(): number {
    if (this.#version === 1)
      return Number(readFileSync(join(this.#of("cpuacct"), "cpuacct.usage"), "utf8")) / 1e6;
    return (
      Number(
        /^usage_usec (\d+)/m.exec(readFileSync(join(this.#of("cpu"), "cpu.stat"), "utf8"))?.[1] ??
          0,
      ) / 1e3
    );
  }

  /** Most memory held at a time; null where the kernel does not tell (version 2 before Linux 5.19). */
  get peakBytes(): number | null {
    const file = join(
      this.#of("memory"),
      this.#version === 2 ? "memory.peak" : "memory.max_usage_in_bytes",
    );
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : null;
  }

  /** Kills every process of the group, those that appear meanwhile included when asked again. */
  kill(): void {
    if (this.#version === 2 && writable(join(this.#of("memory"), "cgroup.kill"))) {
      writeFileSync(join(this.#of("memory"), "cgroup.kill"), "1");
      return;
    }
    for (const file of this.joinFiles) {
      for (const pid of words(file)) {
        try {
          process.kill(Number(pid), "SIGKILL");
        } catch {
          // It has ended in this moment.
        }
      }
    }
  }

  /** Kills what is left and removes the group: resolves when nothing of it is there. False when a process would not end in time. */
  async remove(): Promise<boolean> {
    const until = performance.now() + REMOVE_TIMEOUT_MS;
    for (let attempt = 0; ; attempt++) {
      if (await this.#removed()) return true;
      if (performance.now() > until) return false;
      try {
        this.kill();
      } catch {
        // A part of it has been removed.
      }
      await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS[attempt] ?? 50));
    }
  }

  async #removed(): Promise<boolean> {
    const results = await Promise.allSettled(this.#folders.map((folder) => rmdir(folder)));
    return results.every(
      (result) =>
        result.status === "fulfilled" || (result.reason as NodeJS.ErrnoException).code === "ENOENT",
    );
  }
}
