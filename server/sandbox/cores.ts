/**
 * Gives children processors of their own, so that programs which count them find as many as they
 * may use. The control group stays the limit: a child can undo its affinity, and gains nothing.
 */
import { readFileSync } from "node:fs";

/** The processors in a list such as `0-3,8`, the form of the kernel. Pure. */
export function parseCores(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** The processors on which this process may run. */
function ownCores(): number[] {
  const status = readFileSync("/proc/self/status", "utf8");
  return parseCores(/^Cpus_allowed_list:\s+(\S+)$/m.exec(status)?.[1] ?? "");
}

/** The processors of a machine, each of which one child at most has for its own. */
export class Cores {
  readonly #all: readonly number[];
  /** The processors that no child has, the longest unused first. */
  readonly #free: number[];

  /**
   * @param all the processors on which this process may run.
   * @param first the index of the one that is given first. Servers on one machine know nothing of
   *   each other, so each begins elsewhere.
   */
  constructor(all = ownCores(), first = Math.floor(Math.random() * all.length)) {
    this.#all = all;
    this.#free = [...all.slice(first), ...all.slice(0, first)];
  }

  /**
   * Takes as many processors as a child may use. Undefined where it may use all, or a part of one.
   * Undefined too while others have too many of them: two children that are bound to one processor
   * would share it while another idles.
   *
   * @param allowed the processors on which this process may run now. An orchestrator may take some
   *   away, and a child bound to those alone would not start.
   */
  take(count: number, allowed = ownCores()): readonly number[] | undefined {
    const usable = this.#free.filter((core) => allowed.includes(core));
    if (!Number.isInteger(count) || count >= this.#all.length || count > usable.length)
      return undefined;
    const taken = usable.slice(0, count);
    for (const core of taken) this.#free.splice(this.#free.indexOf(core), 1);
    return taken.toSorted((a, b) => a - b);
  }

  giveBack(cores: readonly number[] = []): void {
    this.#free.push(...cores);
  }
}
