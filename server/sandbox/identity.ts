/** Whose user a child runs as when the server is root, and what that user can reach. */
import {
  chmodSync,
  constants,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
} from "node:fs";
import { copyFile, cp } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Above what systemd, container engines and `useradd` hand out (https://systemd.io/UIDS-GIDS/: 1879048192 to 2147483647 are unused). */
const FIRST_UID = 1_900_000_000;
/** Of each server process; far more than it has children. */
const RANGE = 10_000;
/** Ranges before they repeat: the last uid is below 2^31. */
const RANGES = 20_000;
/** nobody: where the machine is a container that maps only the first uids. */
const FALLBACK_UID = 65_534;

/** Whether a uid exists in this process's user namespace. */
function isMapped(uid: number): boolean {
  return readFileSync("/proc/self/uid_map", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .some(
      ([inside, , count]) =>
        inside !== undefined && count !== undefined && uid >= inside && uid < inside + count,
    );
}

/** A user for each child. Without root there is only the server's own. */
export class Identities {
  /** Whether children get another user than the server's. */
  readonly active = process.getuid?.() === 0;
  readonly #taken = new Set<number>();
  readonly #first = FIRST_UID + (process.pid % RANGES) * RANGE;
  readonly #mapped = this.active && isMapped(this.#first + RANGE - 1);
  #next = 0;

  /** A uid that no child has; undefined for the server's own. */
  take(): number | undefined {
    if (!this.active) return undefined;
    if (!this.#mapped) return FALLBACK_UID;
    do this.#next = (this.#next + 1) % RANGE;
    while (this.#taken.has(this.#next) && this.#taken.size < RANGE);
    this.#taken.add(this.#next);
    return this.#first + this.#next;
  }

  give(uid: number | undefined): void {
    if (uid !== undefined) this.#taken.delete(uid - this.#first);
  }
}

const OWNER_RUNS = 0o100;
const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;

/** A folder that has more in it is not copied. */
const MAX_FOLDER_BYTES = 1024 * 1024 * 1024;
const MAX_FOLDER_ENTRIES = 100_000;

/** Files and folders of the server for children that run as another user: where that user cannot go, such as below `/root`, a copy. */
export class Staging {
  readonly #folder: string;
  readonly #active: boolean;
  readonly #places = new Map<string, Promise<string>>();

  /** @param folder private to the server, but for passing through. */
  constructor(folder: string, active: boolean) {
    this.#folder = folder;
    this.#active = active;
  }

  /** The file or folder itself where any user can read it, else a copy, made once. */
  async reachable(file: string): Promise<string> {
    if (!this.#active || isOpen(file)) return file;
    let place = this.#places.get(file);
    if (!place) {
      place = this.#copy(file);
      this.#places.set(file, place);
      // A copy that failed, on a full disk say, is tried again by the next child.
      place.catch(() => this.#places.delete(file));
    }
    return place;
  }

  async #copy(file: string): Promise<string> {
    const to = join(this.#folder, `${this.#places.size}-${basename(file)}`);
    if (statSync(file).isDirectory()) {
      await copyFolder(file, to);
      return to;
    }
    try {
      // The same file under another name, where that is one file system.
      if ((statSync(file).mode & OTHERS_READ) === 0)
        throw new Error("only a copy can be opened to others");
      linkSync(file, to);
    } catch {
      await copyFile(file, to, constants.COPYFILE_FICLONE);
      chmodSync(to, 0o555);
    }
    return to;
  }
}

/** Copies a folder, readable by all. Links inside it stay links. */
async function copyFolder(from: string, to: string): Promise<void> {
  let [entries, bytes] = [0, 0];
  const withinBounds = (path: string) => {
    entries += 1;
    bytes += lstatSync(path).size;
    if (entries <= MAX_FOLDER_ENTRIES && bytes <= MAX_FOLDER_BYTES) return true;
    throw new Error(
      `${from} has to be copied, because the children's user cannot read it, and holds more than ${MAX_FOLDER_BYTES} bytes or ${MAX_FOLDER_ENTRIES} files; open it: chmod -R a+rX`,
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

/** Whether any user can read the file or folder: it, and each folder above it. */
function isOpen(file: string): boolean {
  const stat = statSync(file, { throwIfNoEntry: false });
  // What does not exist is for bubblewrap to say.
  if (!stat) return true;
  if ((stat.mode & OTHERS_READ) === 0 || (stat.isDirectory() && (stat.mode & OTHERS_ENTER) === 0))
    return false;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & OTHERS_ENTER) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
