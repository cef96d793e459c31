/** Watches what a child's control group uses, and kills the child when it exceeds a limit. */
import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Cgroup } from "./cgroup.ts";
import type { Exit } from "./sandbox.ts";

/** The kernel counts cpu time but sets no limit on it for a whole group. */
const POLL_MS = 500;

export class GroupWatch {
  readonly #group: Cgroup;
  readonly #kill: () => void;
  #cpuMs = Number.POSITIVE_INFINITY;
  /** Processor time before the watch, which does not count. */
  #beforeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #exceeded: Exit["exceeded"];
  #isOver = false;
  #usedFile: string | undefined;
  /** Open files of the group, which are read after each call of a process that is reused. */
  readonly #counts = new Map<string, OpenCount>();

  /** @param kill kills the child's process group. */
  constructor(group: Cgroup, kill: () => void) {
    this.#group = group;
    this.#kill = kill;
  }

  /**
   * Begins the watch.
   *
   * @param cpuMs processor time after which the child is killed, in milliseconds; `Infinity` for no
   *   limit.
   * @param hasWaited whether the processor time so far does not count.
   */
  begin(cpuMs = Number.POSITIVE_INFINITY, hasWaited = false): void {
    this.#cpuMs = cpuMs;
    if (hasWaited) this.#beforeMs = this.usedMs() ?? 0;
    this.#timer = setInterval(() => {
      this.#exceeded ??= this.#exceededNow();
      if (this.#exceeded === undefined) return;
      this.#kill();
      attempt(() => this.#group.kill());
    }, POLL_MS);
  }

  get #countedMs(): number {
    return this.#group.cpuMs - this.#beforeMs;
  }

  /** Processor time of the whole group so far, in milliseconds. */
  usedMs(): number | undefined {
    return attempt(() => this.#countedMs);
  }

  /** Peak memory of the whole group so far, in bytes. */
  peakBytes(): number | undefined {
    return attempt(() => this.#group.peakBytes ?? undefined);
  }

  /** The number of processes in the group. */
  processes(): number | undefined {
    return attempt(() => this.#group.processes);
  }

  /** The number of threads in the group. */
  tasks(): number | undefined {
    return attempt(() => this.#count(this.#group.tasksFile));
  }

  /** Whether the group holds more memory than `bytes`, beside file cache that can be freed. */
  holds(bytes: number): boolean | undefined {
    return attempt(() => {
      this.#usedFile ??= usedFileOf(this.#group);
      const used = this.#count(this.#usedFile);
      // Most are well below. The second file takes the kernel longer.
      return used > bytes && used - cachedBytes(dirname(this.#usedFile)) > bytes;
    });
  }

  #count(path: string): number {
    if (this.#isOver) throw new Error("the group is about to be removed");
    const open = this.#counts.get(path) ?? new OpenCount(path);
    this.#counts.set(path, open);
    return open.read();
  }

  /** Stops the watch. Returns what the group used, and the limit that it exceeded. */
  end(): Pick<Exit, "exceeded" | "usage"> {
    clearInterval(this.#timer);
    this.#isOver = true;
    for (const count of this.#counts.values()) count.close();
    this.#counts.clear();
    const usage = attempt(() => ({
      cpuMs: this.#countedMs,
      maxRssBytes: this.#group.peakBytes,
    }));
    return { exceeded: this.#exceeded ?? this.#exceededNow(), usage };
  }

  #exceededNow(): Exit["exceeded"] {
    return attempt(() =>
      this.#group.outOfMemory ? "memory" : this.#countedMs > this.#cpuMs ? "cpu" : undefined,
    );
  }
}

/** A file of the kernel with one number, which it writes anew for each read. */
class OpenCount {
  static readonly #buffer = Buffer.alloc(32);
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, "r");
  }

  read(): number {
    const length = readSync(this.#fd, OpenCount.#buffer, 0, OpenCount.#buffer.length, 0);
    return Number(OpenCount.#buffer.toString("latin1", 0, length));
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The file with the memory that a group uses, by the name that it has in either version. */
function usedFileOf({ joinFiles }: Cgroup): string {
  const files = joinFiles.flatMap((file) =>
    ["memory.current", "memory.usage_in_bytes"].map((name) => join(dirname(file), name)),
  );
  return files.find((file) => existsSync(file)) ?? "";
}

function cachedBytes(folder: string): number {
  const text = readFileSync(join(folder, "memory.stat"), "utf8");
  const cached = [...text.matchAll(/^(?:in)?active_file (\d+)$/gm)];
  return cached.reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

/** The value, or undefined where somebody with the rights has removed the group. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
