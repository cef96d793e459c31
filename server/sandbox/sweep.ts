/**
 * Removes what servers left that were killed together with their janitors. Each server holds a lock
 * on its folders. The kernel releases it when the server ends, however it ends. This holds across
 * containers, too.
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, constants, lstatSync, openSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { messageOf } from "../../openapi/errors.ts";
import { within } from "../../sdk/typescript/time/within.ts";
import { Janitor } from "./janitor.ts";

/**
 * The names of the folders that are locked: 10 hexadecimal digits. Those of earlier versions, which
 * lock nothing, have 8, and stay.
 */
const NAME = /^distributed-pool-\d+-[0-9a-f]{10}$/;
const NAME_BYTES = 5;
/** A folder is locked just after it is made. A younger one may be about to be locked. */
const MIN_AGE_MS = 60_000;
const LOCK_TIMEOUT_MS = 5_000;
/** `flock` gets the folders as descriptors from here on. */
const FIRST_FD = 3;

/** A new name for the folders of this process. */
export const newName = () =>
  `distributed-pool-${process.pid}-${randomBytes(NAME_BYTES).toString("hex")}`;

/** A folder's lock, which lasts until it is released or the process ends. */
export class FolderLocks {
  readonly #fds: readonly number[];

  /**
   * @param folders of this server.
   * @throws {Error} where `flock` (util-linux) is missing, or another process has a lock.
   */
  constructor(folders: readonly string[]) {
    const fds: number[] = [];
    this.#fds = fds;
    try {
      for (const folder of folders) fds.push(openFolder(folder));
      // The lock belongs to the open folder, so it outlives the program that takes it.
      const script = fds.map((_, index) => `flock -n ${FIRST_FD + index}`).join(" && ");
      const { status, error } = spawnSync("sh", ["-c", script], {
        stdio: ["ignore", "ignore", "ignore", ...fds],
        timeout: LOCK_TIMEOUT_MS,
      });
      if (status !== 0)
        throw error ?? new Error("flock (util-linux): not found, or a folder is locked already");
    } catch (error) {
      this.release();
      throw error;
    }
  }

  release(): void {
    for (const fd of this.#fds) closeSync(fd);
  }
}

/**
 * Removes the folders of servers that have ended, beside this server's own, and kills the processes
 * in their control groups. Never rejects.
 *
 * @param own this server's folders: of its control groups, and its private one.
 * @param log receives what was removed.
 */
export async function sweep(
  own: { readonly groups: readonly string[]; readonly folder: string },
  log: (message: string) => void,
): Promise<void> {
  try {
    const groups = await abandoned(own.groups);
    const folders = await abandoned([own.folder]);
    if (groups.length + folders.length === 0) return;
    log(`removing what a killed server left: ${[...groups, ...folders].join(", ")}`);
    await new Janitor(groups, folders).clean();
  } catch (error) {
    log(`could not remove what a killed server left: ${messageOf(error)}`);
  }
}

/** The folders beside these that are old enough, belong to this user, and are not locked. */
async function abandoned(own: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of own) {
    for (const name of readdirSync(dirname(folder))) {
      const path = join(dirname(folder), name);
      if (NAME.test(name) && name !== basename(folder) && (await isAbandoned(path)))
        found.push(path);
    }
  }
  return found;
}

async function isAbandoned(folder: string): Promise<boolean> {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  // Anybody may make a folder of such a name in a shared one, or a link to another folder.
  if (!stat?.isDirectory() || stat.uid !== process.geteuid?.()) return false;
  if (Date.now() - stat.mtimeMs < MIN_AGE_MS) return false;
  const fd = openFolder(folder);
  try {
    const flock = spawn("sh", ["-c", `exec flock -n ${FIRST_FD}`], {
      stdio: ["ignore", "ignore", "ignore", fd],
    });
    await once(flock, "spawn");
    const [code] = (await within(LOCK_TIMEOUT_MS, once(flock, "exit"))) ?? [];
    return code === 0;
  } finally {
    closeSync(fd);
  }
}

function openFolder(folder: string): number {
  return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}
