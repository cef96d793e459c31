/** Makes files of the server readable for children that run as another user. */
import { chmodSync, constants, linkSync, lstatSync, readdirSync, statSync } from "node:fs";
import { copyFile, cp } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

const OWNER_RUNS = 0o100;
const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;

/** 1 GiB or 100,000 entries: a larger folder is not copied. */
const MAX_FOLDER_BYTES = 1024 * 1024 * 1024;
const MAX_FOLDER_ENTRIES = 100_000;

/** Copies of the host's files for children whose user cannot read them, such as below `/root`. */
export class ReadableCopies {
  readonly #folder: string;
  readonly #copies = new Map<string, Promise<string>>();

  /** @param folder for the copies. Other users may pass through it, but not list it. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The file or folder itself where any user can read it, else the path of its copy. */
  async readable(file: string): Promise<string> {
    if (isReadableByAll(file)) return file;
    let copy = this.#copies.get(file);
    if (!copy) {
      copy = this.#copy(file);
      this.#copies.set(file, copy);
      // The next child tries a copy again that failed, for example on a full disk.
      copy.catch(() => this.#copies.delete(file));
    }
    return copy;
  }

  async #copy(file: string): Promise<string> {
    const to = join(this.#folder, `${this.#copies.size}-${basename(file)}`);
    if (statSync(file).isDirectory()) {
      await copyFolder(file, to);
      return to;
    }
    try {
      // A hard link needs no copy, where both folders are on one file system.
      if ((statSync(file).mode & OTHERS_READ) === 0)
        throw new Error("a link would have the mode of the file");
      linkSync(file, to);
    } catch {
      await copyFile(file, to, constants.COPYFILE_FICLONE);
      chmodSync(to, 0o555);
    }
    return to;
  }
}

/** Copies a folder and makes it readable by all. Symbolic links in it stay links. */
async function copyFolder(from: string, to: string): Promise<void> {
  let [entries, bytes] = [0, 0];
  const withinBounds = (path: string) => {
    entries += 1;
    bytes += lstatSync(path).size;
    if (entries <= MAX_FOLDER_ENTRIES && bytes <= MAX_FOLDER_BYTES) return true;
    throw new Error(
      `${from} has to be copied, because the children's user cannot read it, and holds more than ` +
        `${MAX_FOLDER_BYTES} bytes or ${MAX_FOLDER_ENTRIES} files; open it: chmod -R a+rX`,
    );
  };
  await cp(from, to, {
    recursive: true,
    verbatimSymlinks: true,
    filter: withinBounds,
    mode: constants.COPYFILE_FICLONE,
  });
  for (const entry of ["", ...readdirSync(to, { recursive: true, encoding: "utf8" })]) {
    const stat = lstatSync(join(to, entry));
    if (!stat.isSymbolicLink())
      chmodSync(join(to, entry), (stat.mode & OWNER_RUNS) === 0 ? 0o444 : 0o555);
  }
}

/** Whether any user can read the file or folder, and enter each folder above it. */
export function isReadableByAll(file: string): boolean {
  const stat = statSync(file, { throwIfNoEntry: false });
  // bubblewrap reports a file that does not exist.
  if (!stat) return true;
  if ((stat.mode & OTHERS_READ) === 0 || (stat.isDirectory() && (stat.mode & OTHERS_ENTER) === 0))
    return false;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & OTHERS_ENTER) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
