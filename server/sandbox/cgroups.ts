/** The control groups of a sandbox: a folder in each hierarchy, with one group for each child. */
import { existsSync, mkdirSync, readFileSync, realpathSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { Cgroup, type FileOf } from "./cgroup.ts";
import type { ChildLimits, ReadOnlyBind } from "./confinement.ts";
import { makeGroup } from "./cpuset.ts";
import {
  type CgroupFiles,
  type Controller,
  enableControllers,
  isWritable,
  nearestUsable,
  ownGroups,
} from "./hierarchy.ts";

/** Where programs look for their group. */
const CGROUP_FOLDER = "/sys/fs/cgroup";

export class Cgroups {
  readonly version: 1 | 2;
  /** The folders that hold the children's groups, without duplicates. */
  readonly folders: readonly string[];
  readonly #folderOf: ReadonlyMap<Controller, string>;
  #created = 0;

  /**
   * Finds the paths of the folders; {@link make} makes the folders.
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
          : new Map([...own.folders].filter(([key, path]) => key !== "cpuset" || isWritable(path)));
      this.#folderOf = new Map(
        [...parents].map(([key, path]) => [key, join(realpathSync(path), name)]),
      );
      this.folders = [...new Set(this.#folderOf.values())];
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
        this.#makeFolder(folder);
        made.push(folder);
        const failure = this.version === 2 ? enableControllers(folder) : undefined;
        if (failure !== undefined) throw new Error(failure);
      }
    } catch (error) {
      for (const folder of made) rmdirSync(folder);
      throw this.#unavailable(error);
    }
  }

  #makeFolder(folder: string): void {
    (this.version === 1 ? makeGroup : mkdirSync)(folder);
  }

  #unavailable(error: unknown): PoolError {
    return PoolError.of("sandbox_unavailable", `cgroup v${this.version}: ${messageOf(error)}`, {
      cause: error,
    });
  }

  /** Makes an empty group with these limits. */
  create(limits: ChildLimits): Cgroup {
    const name = String(this.#created++);
    const folders = this.folders.map((folder) => join(folder, name));
    const fileOf: FileOf = (controller, file) =>
      join(this.#folderOf.get(controller) as string, name, file);
    try {
      for (const folder of folders) this.#makeFolder(folder);
      const options = { version: this.version, folders, fileOf, shown: this.#shown(name) };
      const group = new Cgroup(options);
      group.limit(limits);
      return group;
    } catch (error) {
      for (const folder of folders) if (existsSync(folder)) rmdirSync(folder);
      throw error;
    }
  }

  /** Where a child sees its own group. */
  #shown(name: string): ReadOnlyBind[] {
    if (this.version === 2)
      return this.folders.map((folder) => ({ from: join(folder, name), to: CGROUP_FOLDER }));
    return [...this.#folderOf].map(([controller, folder]) => ({
      from: join(folder, name),
      to: join(CGROUP_FOLDER, controller),
    }));
  }
}
