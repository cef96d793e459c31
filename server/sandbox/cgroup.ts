/**
 * The control group of one child, version 1 or 2: it limits and counts the memory, the processes
 * and the cpu of the whole child, and kills what is left of it. The kernel describes their files at
 * https://docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/.
 */
import { existsSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { ChildLimits, ReadOnlyBind } from "./confinement.ts";
import { groupLimits } from "./group-limits.ts";
import { type Controller, isWritable, readWords } from "./hierarchy.ts";

/** The file that lists the processes of a group. */
const PROCESSES = "cgroup.procs";
/** A group is empty milliseconds after its processes are killed, unless one hangs in the kernel. */
const REMOVE_TIMEOUT_MS = 5_000;
const REMOVE_PAUSE_MS = [0, 1, 2, 4, 8, 16, 32];

/** The path of a controller's file in a group. */
export type FileOf = (controller: Controller, file: string) => string;

interface GroupOptions {
  readonly version: 1 | 2;
  readonly folders: readonly string[];
  readonly fileOf: FileOf;
  readonly shown: readonly ReadOnlyBind[];
}

export class Cgroup {
  /**
   * A process of one thread joins the group when it writes 0 to each of these files. On version 1,
   * a thread joins without the wait of 10 ms for the machine's other processors that a whole
   * process needs. Version 2 has no such way.
   */
  readonly joinFiles: readonly string[];
  /** The file with the number of threads in the group. */
  readonly tasksFile: string;
  /** The folders of the group, each with the path at which the child sees it. */
  readonly shown: readonly ReadOnlyBind[];
  readonly #version: 1 | 2;
  readonly #folders: readonly string[];
  readonly #fileOf: FileOf;
  /** The values of the limits, by path. */
  readonly #limits = new Map<string, string>();

  constructor(options: GroupOptions) {
    const { version, folders, fileOf, shown } = options;
    this.#version = version;
    this.shown = shown;
    this.#folders = folders;
    this.#fileOf = fileOf;
    const file = version === 1 ? "tasks" : PROCESSES;
    this.tasksFile = fileOf("pids", "pids.current");
    this.joinFiles = folders.map((folder) => join(folder, file));
  }

  /** Sets those limits that differ. @throws the error of a limit that the kernel refuses. */
  limit(limits: ChildLimits): void {
    for (const { controller, file, value, optional } of groupLimits(this.#version, limits)) {
      const path = this.#fileOf(controller, file);
      if (this.#limits.get(path) === String(value)) continue;
      if (!optional || existsSync(path)) writeFileSync(path, String(value));
      this.#limits.set(path, String(value));
    }
  }

  /** Whether the kernel has killed a process of the group because its memory was full. */
  get outOfMemory(): boolean {
    const file = this.#version === 2 ? "memory.events" : "memory.oom_control";
    return /^oom_kill [1-9]/m.test(this.#read("memory", file));
  }

  /** Processor time so far, in milliseconds. */
  get cpuMs(): number {
    if (this.#version === 1) return Number(this.#read("cpuacct", "cpuacct.usage")) / 1e6;
    return Number(/^usage_usec (\d+)/m.exec(this.#read("cpu", "cpu.stat"))?.[1] ?? 0) / 1e3;
  }

  /** Peak memory in bytes; null on version 2 before Linux 5.19, which does not report it. */
  get peakBytes(): number | null {
    const file = this.#version === 2 ? "memory.peak" : "memory.max_usage_in_bytes";
    return existsSync(this.#fileOf("memory", file)) ? Number(this.#read("memory", file)) : null;
  }

  /** The number of processes in the group. */
  get processes(): number {
    return readWords(this.#fileOf("pids", PROCESSES)).length;
  }

  /** Kills every process of the group. A second call kills those that were forked meanwhile. */
  kill(): void {
    const killFile = this.#fileOf("memory", "cgroup.kill");
    if (this.#version === 2 && isWritable(killFile)) {
      writeFileSync(killFile, "1");
      return;
    }
    for (const folder of this.#folders) {
      for (const pid of readWords(join(folder, PROCESSES))) {
        try {
          process.kill(Number(pid), "SIGKILL");
        } catch {
          // It has ended in this moment.
        }
      }
    }
  }

  /**
   * Kills the processes that are left and removes the group. Resolves when no process is left, and
   * with false when one does not end within 5 seconds. The kernel may keep an empty group for some
   * milliseconds: it is removed behind the answer.
   */
  async remove(): Promise<boolean> {
    if (this.#removed()) return true;
    const removed = this.#removeSoon();
    return this.#isEmpty() || removed;
  }

  async #removeSoon(): Promise<boolean> {
    const deadline = performance.now() + REMOVE_TIMEOUT_MS;
    for (let attempt = 0; ; attempt++) {
      if (this.#removed()) return true;
      if (performance.now() > deadline) return false;
      try {
        this.kill();
      } catch {
        // A folder of it has been removed.
      }
      await pause(REMOVE_PAUSE_MS[attempt] ?? 50);
    }
  }

  /** False where a file cannot be read, for lack of descriptors or because it has gone. */
  #isEmpty(): boolean {
    try {
      return this.#folders.every((folder) => readWords(join(folder, PROCESSES)).length === 0);
    } catch {
      return false;
    }
  }

  #read(controller: Controller, file: string): string {
    return readFileSync(this.#fileOf(controller, file), "utf8");
  }

  /** The kernel takes 10 µs to remove an empty group. A thread of the pool would take longer. */
  #removed(): boolean {
    return this.#folders.map(isRemoved).every(Boolean);
  }
}

/** Removes a folder. Returns whether it is gone. */
function isRemoved(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}
