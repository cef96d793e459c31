/**
 * The `cpuset` groups of version 1. They limit nothing here: a Java machine believes in a group
 * only where it sees memory, cpu, cpuacct and cpuset together.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** No process can join a group of a `cpuset` hierarchy before both are set. */
const NEEDED = ["cpuset.cpus", "cpuset.mems"];

/** Makes a group of version 1. In a `cpuset` hierarchy, it has all that its parent has. */
export function makeGroup(folder: string): void {
  mkdirSync(folder);
  try {
    if (!NEEDED.every((file) => existsSync(join(folder, file)))) return;
    for (const file of NEEDED)
      writeFileSync(join(folder, file), readFileSync(join(dirname(folder), file)));
  } catch (error) {
    rmdirSync(folder);
    throw error;
  }
}
