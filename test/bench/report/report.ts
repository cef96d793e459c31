/** A report: what was measured, where and when. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import type { Outcome } from "../benchmark.ts";

export interface Section extends Outcome {
  readonly name: string;
  readonly about: string;
  readonly seconds: number;
}

export interface Machine {
  readonly date: string;
  readonly commit: string;
  readonly processor: string;
  readonly processors: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** The load average of the last minute when the run began: other work disturbs figures. */
  readonly loadAverage: number;
}

export interface Report {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly sections: readonly Section[];
}

function commitOf(): string {
  try {
    const args = ["describe", "--always", "--dirty"];
    return execFileSync("git", args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}

export function thisMachine(): Machine {
  const [first] = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commitOf(),
    processor: first?.model.trim() ?? "unknown",
    processors: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
  };
}

/** All figures of a report by their names. */
export const figuresOf = ({ sections }: Report): Readonly<Record<string, number>> =>
  Object.assign({}, ...sections.map(({ figures = {} }) => figures));
