/** The top of a child's file system: the host's system folders, or those of a curated root. */
import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Folders that are symbolic links on a system with a merged `/usr`, and real on an older one. */
const SYSTEM_FOLDERS = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/** Folders that the sandbox makes itself, also over a curated root. */
const SANDBOX_FOLDERS = new Set(["proc", "sys", "dev", "tmp", "run", "work"]);

/** By path: the target of a symbolic link, or null for a file or folder to bind. */
export type RootEntries = ReadonlyMap<string, string | null>;

/** @param root a curated root file system; undefined for the host's own system folders. */
export function readRoot(root?: string): RootEntries {
  const paths =
    root === undefined
      ? SYSTEM_FOLDERS
      : readdirSync(root)
          .filter((name) => !SANDBOX_FOLDERS.has(name))
          .map((name) => `/${name}`);
  const entries = new Map<string, string | null>();
  for (const path of paths) {
    const file = join(root ?? "/", path);
    const stat = lstatSync(file, { throwIfNoEntry: false });
    if (stat) entries.set(path, stat.isSymbolicLink() ? readlinkSync(file) : null);
  }
  return entries;
}
