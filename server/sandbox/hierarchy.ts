/**
 * Finds the folders in which a server may make control groups, and prepares them on version 2. Its
 * rules: https://docs.kernel.org/admin-guide/cgroup-v2.html#no-internal-process-constraint
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { messageOf } from "../../openapi/errors.ts";

/** The controllers that limit the whole of a child. */
const CONTROLLERS = ["memory", "pids", "cpu"] as const;
/** On version 1, a controller of its own counts cpu time. */
const CONTROLLERS_V1 = [...CONTROLLERS, "cpuacct"] as const;
export type Controller = (typeof CONTROLLERS_V1)[number] | "cpuset";

/** Folders for groups: one for all controllers on version 2, one or more on version 1. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly folders: ReadonlyMap<Controller, string>;
}

/** The contents of `/proc/self/mountinfo` and `/proc/self/cgroup`. */
export interface CgroupFiles {
  readonly mountinfo: string;
  readonly cgroup: string;
}

/** A line of mountinfo: `ID PARENT MAJOR:MINOR ROOT PATH … - TYPE SOURCE OPTIONS` (proc(5)). */
const MOUNT = /^\S+ \S+ \S+ (\S+) (\S+) .* - (cgroup2?) \S+ (\S+)/gm;
/** A line of cgroup: `ID:CONTROLLERS:PATH` (cgroups(7)). */
const OWN_GROUP = /^\d+:([^:]*):(.*)$/gm;

/**
 * The folders of this process's own groups. Pure. Undefined when the controllers are not mounted.
 */
export function ownGroups(
  { mountinfo, cgroup }: CgroupFiles,
  exists: (path: string) => boolean,
): Hierarchy | undefined {
  const mounts = [...mountinfo.matchAll(MOUNT)].map(
    ([, root = "", path = "", type, options = ""]) => ({
      root,
      path,
      type,
      options: options.split(","),
    }),
  );
  const paths = [...cgroup.matchAll(OWN_GROUP)].map(([, names = "", path = ""]) => ({
    names: names.split(","),
    path,
  }));
  const folder = (mount: { root: string; path: string }, own: string) => {
    // A container may see only its own part of the tree, which it does not know the path of.
    const inside =
      mount.root !== "/" && own.startsWith(mount.root) ? own.slice(mount.root.length) : own;
    const found = join(mount.path, inside);
    return exists(found) ? found.replace(/(?<=.)\/$/, "") : mount.path;
  };
  const v1 = new Map<Controller, string>();
  for (const name of [...CONTROLLERS_V1, "cpuset"] as const) {
    const mount = mounts.find(({ type, options }) => type === "cgroup" && options.includes(name));
    const own = paths.find(({ names }) => names.includes(name));
    if (mount && own) v1.set(name, folder(mount, own.path));
  }
  if (CONTROLLERS_V1.every((name) => v1.has(name))) return { version: 1, folders: v1 };
  const mount = mounts.find(({ type }) => type === "cgroup2");
  const own = paths.find(({ names }) => names[0] === "");
  if (!mount || !own) return undefined;
  const path = folder(mount, own.path);
  return { version: 2, folders: new Map(CONTROLLERS_V1.map((name) => [name, path])) };
}

/** The words of a file, separated by white space. */
export const readWords = (file: string) => readFileSync(file, "utf8").split(/\s+/).filter(Boolean);

export function isWritable(...paths: readonly string[]): boolean {
  try {
    for (const path of paths) accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Lets the groups in a folder of version 2 have limits.
 *
 * @returns the reason of a failure; undefined for success.
 */
export function enableControllers(folder: string): string | undefined {
  const available = readWords(join(folder, "cgroup.controllers"));
  const missing = CONTROLLERS.filter((name) => !available.includes(name));
  if (missing.length > 0) return `${folder} has no ${missing.join(", ")}`;
  const control = join(folder, "cgroup.subtree_control");
  const disabled = CONTROLLERS.filter((name) => !readWords(control).includes(name));
  if (disabled.length === 0) return undefined;
  try {
    writeFileSync(control, disabled.map((name) => `+${name}`).join(" "));
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** The group into which the server moves, so that its former group has no process of its own. */
const LEAF = "distributed-pool-server";

/**
 * The nearest folder of version 2, upwards from this process's own, in which groups can have
 * limits. A group with processes of its own cannot limit the groups in it. A server that is alone
 * in its group therefore moves into a leaf; in a container, it takes the container's other
 * processes along.
 *
 * @throws {Error} with the reason for each folder that was tried.
 */
export function nearestUsable(current: string): string {
  const own = basename(current) === LEAF ? dirname(current) : current;
  const reasons: string[] = [];
  for (let folder = own; existsSync(join(folder, "cgroup.controllers")); folder = dirname(folder)) {
    // To move a process, the server must be able to write in the nearest folder above both groups.
    if (!isWritable(folder, join(folder, "cgroup.procs"), join(folder, "cgroup.subtree_control"))) {
      reasons.push(`${folder} is not writable`);
      continue;
    }
    let failure = enableControllers(folder);
    if (failure !== undefined && folder === own) {
      const pids = readWords(join(folder, "cgroup.procs"));
      const isTop = !existsSync(join(dirname(folder), "cgroup.controllers"));
      if (isTop || pids.every((pid) => Number(pid) === process.pid)) {
        moveToLeaf(folder, pids);
        failure = enableControllers(folder);
      }
    }
    if (failure === undefined) return folder;
    reasons.push(failure);
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
      // A process that has ended meanwhile need not move.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
