/**
 * Control groups, version 1 and 2: limits on memory, processes and cpu of a whole child, what it used, and that nothing of
 * it is left. Files and their meanings: https://docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, realpathSync, rmdirSync, writeFileSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf, PoolError } from "../../sdk/typescript/errors.ts";
import type { ChildLimits } from "./confinement.ts";

/** The controllers without which there is no limit on the whole of a child. */
const CONTROLLERS = ["memory", "pids", "cpu"] as const;
/** On version 1 the counting of cpu time is a controller of its own. */
const CONTROLLERS_V1 = [...CONTROLLERS, "cpuacct"] as const;
type Controller = (typeof CONTROLLERS_V1)[number];

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

/** Where groups are made: one folder on version 2; on version 1 one by controller, which may share a hierarchy. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly folders: ReadonlyMap<Controller, string>;
}

/** What the kernel tells of mounts and of this process: the contents of `/proc/self/mountinfo` and `/proc/self/cgroup`. */
export interface CgroupFiles {
  readonly mountinfo: string;
  readonly cgroup: string;
}

/** The folders that this process is in, by what the kernel tells. Pure. Undefined when the controllers are not mounted. */
export function ownGroups({ mountinfo, cgroup }: CgroupFiles, exists: (path: string) => boolean): Hierarchy | undefined {
  const mounts = mountinfo
    .split("\n")
    .map((line) => {
      const [fields = "", tail = ""] = line.split(" - ");
      const [type = "", , options = ""] = tail.split(" ");
      return { root: fields.split(" ")[3] ?? "/", path: fields.split(" ")[4] ?? "", type, options: options.split(",") };
    })
    .filter(({ type }) => type === "cgroup" || type === "cgroup2");
  const paths = cgroup
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [, names = "", ...path] = line.split(":");
      return { names: names.split(","), path: path.join(":") };
    });
  const folder = (mount: { root: string; path: string }, own: string) => {
    // A container may see only its own part of the tree, under a path that it is not told.
    const inside = mount.root !== "/" && own.startsWith(mount.root) ? own.slice(mount.root.length) : own;
    const found = join(mount.path, inside);
    return exists(found) ? found.replace(/(?<=.)\/$/, "") : mount.path;
  };
  const v1 = new Map<Controller, string>();
  for (const name of CONTROLLERS_V1) {
    const mount = mounts.find(({ type, options }) => type === "cgroup" && options.includes(name));
    const own = paths.find(({ names }) => names.includes(name));
    if (mount && own) v1.set(name, folder(mount, own.path));
  }
  if (v1.size === CONTROLLERS_V1.length) return { version: 1, folders: v1 };
  const mount = mounts.find(({ type }) => type === "cgroup2");
  const own = paths.find(({ names }) => names[0] === "");
  if (!mount || !own) return undefined;
  const path = folder(mount, own.path);
  return { version: 2, folders: new Map(CONTROLLERS_V1.map((name) => [name, path])) };
}

const words = (file: string) => readFileSync(file, "utf8").split(/\s+/).filter(Boolean);

function writable(...paths: readonly string[]): boolean {
  try {
    for (const path of paths) accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** On version 2: lets the groups made in `folder` have limits. Undefined when it worked, else why it did not. */
function enable(folder: string): string | undefined {
  const available = words(join(folder, "cgroup.controllers"));
  const missing = CONTROLLERS.filter((name) => !available.includes(name));
  if (missing.length > 0) return `${folder} has no ${missing.join(", ")}`;
  const control = join(folder, "cgroup.subtree_control");
  const wanted = CONTROLLERS.filter((name) => !words(control).includes(name));
  if (wanted.length === 0) return undefined;
  try {
    writeFileSync(control, wanted.map((name) => `+${name}`).join(" "));
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Where a server goes so that its group has no process of its own. */
const LEAF = "distributed-pool-server";

/**
 * On version 2, the nearest folder in which groups with limits can be made: this process's own, or one above it. A group
 * that has processes of its own gives no limits to groups in it, so a server that is alone in its group moves into a leaf,
 * and one in a container takes the container's other processes along.
 */
function nearestUsable(current: string): string {
  const own = basename(current) === LEAF ? dirname(current) : current;
  const reasons: string[] = [];
  for (let folder = own; existsSync(join(folder, "cgroup.controllers")); folder = dirname(folder)) {
    // Moving a process needs the right to write in the nearest folder above both places.
    if (!writable(folder, join(folder, "cgroup.procs"), join(folder, "cgroup.subtree_control"))) {
      reasons.push(`${folder} is not writable`);
      continue;
    }
    let why = enable(folder);
    if (why !== undefined && folder === own) {
      const pids = words(join(folder, "cgroup.procs"));
      const isTop = !existsSync(join(dirname(folder), "cgroup.controllers"));
      if (isTop || pids.every((pid) => Number(pid) === process.pid)) {
        moveToLeaf(folder, pids);
        why = enable(folder);
      }
    }
    if (why === undefined) return folder;
    reasons.push(why);
  }
  throw new Error(reasons.length > 0 ? reasons.join("; ") : `${own} is not a group`);
}

function moveToLeaf(folder: string, pids: readonly string[]): void {
  const leaf = join(folder, LEAF);
  mkdirSync(leaf, { recursive: true });
  for (const pid of pids) {
    try {
      writeFileSync(join(leaf, "cgroup.procs"), pid);
    } catch (error) {
      // One that has ended meanwhile is out of the way.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

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
    files: CgroupFiles = { mountinfo: readFileSync("/proc/self/mountinfo", "utf8"), cgroup: readFileSync("/proc/self/cgroup", "utf8") },
  ) {
    const own = ownGroups(files, existsSync);
    if (!own) throw PoolError.of("sandbox_unavailable", "no cgroup hierarchy with memory, pids and cpu is mounted");
    this.version = own.version;
    try {
      const parents = own.version === 2 ? new Map([...own.folders].map(([key, path]) => [key, nearestUsable(path)])) : own.folders;
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
    return PoolError.of("sandbox_unavailable", `cgroup v${this.version}: ${messageOf(error)}`, { cause: error });
  }

  /** A group with these limits, still empty. */
  create(limits: ChildLimits): Cgroup {
    const name = String(this.#made++);
    const folders = this.folders.map((folder) => join(folder, name));
    const of = (controller: Controller) => join(this.#of.get(controller) as string, name);
    const write = (controller: Controller, file: string, value: string | number) => writeFileSync(join(of(controller), file), String(value));
    try {
      for (const folder of folders) mkdirSync(folder);
      const processes = limits.processes + OWN_PROCESSES;
      // Stops a fork bomb from taking the machine's process table.
      write("pids", "pids.max", processes);
      const quota = Number.isFinite(limits.cpus) ? Math.max(MIN_QUOTA_US, Math.round(limits.cpus * CPU_PERIOD_US)) : undefined;
      if (this.version === 2) {
        // Stops memory from being taken by many processes, tmpfs or page cache together; no swap, or the limit would only be slow.
        write("memory", "memory.max", limits.memoryBytes);
        if (existsSync(join(of("memory"), "memory.swap.max"))) write("memory", "memory.swap.max", 0);
        // The whole child ends, not the one process the kernel picks.
        write("memory", "memory.oom.group", 1);
        // Stops a child from keeping the processors from others.
        if (quota !== undefined) write("cpu", "cpu.max", `${quota} ${CPU_PERIOD_US}`);
      } else {
        write("memory", "memory.limit_in_bytes", limits.memoryBytes);
        if (existsSync(join(of("memory"), "memory.memsw.limit_in_bytes"))) write("memory", "memory.memsw.limit_in_bytes", limits.memoryBytes);
        // What TCP and UDP sockets hold is counted apart here, and without a limit not at all.
        if (existsSync(join(of("memory"), "memory.kmem.tcp.limit_in_bytes")))
          write("memory", "memory.kmem.tcp.limit_in_bytes", Math.floor(limits.memoryBytes / SOCKETS_PART));
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
    const file = join(this.#of("memory"), this.#version === 2 ? "memory.events" : "memory.oom_control");
    return /^oom_kill [1-9]/m.test(readFileSync(file, "utf8"));
  }

  /** Processor time so far, in milliseconds. */
  get cpuMs(): number {
    if (this.#version === 1) return Number(readFileSync(join(this.#of("cpuacct"), "cpuacct.usage"), "utf8")) / 1e6;
    return Number(/^usage_usec (\d+)/m.exec(readFileSync(join(this.#of("cpu"), "cpu.stat"), "utf8"))?.[1] ?? 0) / 1e3;
  }

  /** Most memory held at a time; null where the kernel does not tell (version 2 before Linux 5.19). */
  get peakBytes(): number | null {
    const file = join(this.#of("memory"), this.#version === 2 ? "memory.peak" : "memory.max_usage_in_bytes");
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
    return results.every((result) => result.status === "fulfilled" || (result.reason as NodeJS.ErrnoException).code === "ENOENT");
  }
}
