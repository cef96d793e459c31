/** Watches what a child's control group uses, and kills the child when it exceeds a limit. */
import type { Cgroup } from "./cgroup.ts";
import type { Exit } from "./sandbox.ts";

/** The kernel counts cpu time but sets no limit on it for a whole group. */
const POLL_MS = 500;

export class GroupWatch {
  readonly #group: Cgroup;
  readonly #cpuMs: number;
  readonly #timer: NodeJS.Timeout;
  #exceeded: Exit["exceeded"];

  /**
   * @param cpuMs processor time after which the child is killed, in milliseconds; `Infinity` for no
   *   limit.
   * @param kill kills the child's process group.
   */
  constructor(group: Cgroup, cpuMs: number, kill: () => void) {
    this.#group = group;
    this.#cpuMs = cpuMs;
    this.#timer = setInterval(() => {
      this.#exceeded ??= this.#exceededNow();
      if (this.#exceeded === undefined) return;
      kill();
      attempt(() => group.kill());
    }, POLL_MS);
  }

  /** Processor time of the whole group so far, in milliseconds. */
  usedMs(): number | undefined {
    return attempt(() => this.#group.cpuMs);
  }

  /** The number of processes in the group. */
  processes(): number | undefined {
    return attempt(() => this.#group.processes);
  }

  /** Stops the watch. Returns what the group used, and the limit that it exceeded. */
  end(): Pick<Exit, "exceeded" | "usage"> {
    clearInterval(this.#timer);
    const usage = attempt(() => ({
      cpuMs: this.#group.cpuMs,
      maxRssBytes: this.#group.peakBytes,
    }));
    return { exceeded: this.#exceeded ?? this.#exceededNow(), usage };
  }

  #exceededNow(): Exit["exceeded"] {
    return attempt(() =>
      this.#group.outOfMemory ? "memory" : this.#group.cpuMs > this.#cpuMs ? "cpu" : undefined,
    );
  }
}

/** The value, or undefined where somebody with the rights has removed the group. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
