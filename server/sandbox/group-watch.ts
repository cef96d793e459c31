/** Watches what a child's control group uses, and kills the child when it exceeds a limit. */
import { existsSync, readFileSync } from "node:fs";
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
  #usedFile: string | undefined;

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

  /** The number of processes in the group. */
  processes(): number | undefined {
    return attempt(() => this.#group.processes);
  }

  /** The number of threads in the group. */
  tasks(): number | undefined {
    return attempt(() => this.#group.tasks);
  }

  /** Whether the group holds more memory than `bytes`, beside file cache that can be freed. */
  holds(bytes: number): boolean | undefined {
    return attempt(() => {
      this.#usedFile ??= usedFileOf(this.#group);
      const used = Number(readFileSync(this.#usedFile, "utf8"));
      // Most are well below. The second file takes the kernel longer.
      return used > bytes && used - cachedBytes(dirname(this.#usedFile)) > bytes;
    });
  }

  /** Stops the watch. Returns what the group used, and the limit that it exceeded. */
  end(): Pick<Exit, "exceeded" | "usage"> {
    clearInterval(this.#timer);
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
