/**
 * Where a server may make control groups: found in what the kernel tells, and made ready where that takes a step. Rules of
 * version 2: https://docs.kernel.org/admin-guide/cgroup-v2.html#no-internal-process-constraint
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { messageOf } from "../../openapi/errors.ts";

/** The controllers without which there is no limit on the whole of a child. */
const CONTROLLERS = ["memory", "pids", "cpu"] as const;
/** On version 1 the counting of cpu time is a controller of its own. */
const CONTROLLERS_V1 = [...CONTROLLERS, "cpuacct"] as const;
export type Controller = (typeof CONTROLLERS_V1)[number];

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
export function ownGroups(
  { mountinfo, cgroup }: CgroupFiles,
  exists: (path: string) => boolean,
): Hierarchy | undefined {
  const mounts = mountinfo
    .split("\n")
    .map((line) => {
      const [fields = "", tail = ""] = line.split(" - ");
      const [type = "", , options = ""] = tail.split(" ");
      return {
        root: fields.split(" ")[3] ?? "/",
        path: fields.split(" ")[4] ?? "",
        type,
        options: options.split(","),
      };
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
    const inside =
      mount.root !== "/" && own.startsWith(mount.root) ? own.slice(mount.root.length) : own;
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

export const words = (file: string) => readFileSync(file, "utf8").split(/\s+/).filter(Boolean);

export function writable(...paths: readonly string[]): boolean {
  try {
    for (const path of paths) accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** On version 2: lets the groups made in `folder` have limits. Undefined when it worked, else why it did not. */
export function enable(folder: string): string | undefined {
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
export function nearestUsable(current: string): string {
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
