/**
 * Makes the folder that is a child's `/etc`. One folder costs a child less time than a mount for
 * each file.
 */
import {
  chmodSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { dirname, join, posix, relative } from "node:path";
import type { Grants } from "./confinement.ts";
import { COPIED_PARTS, LIVE_PARTS, MADE_UP, NETWORK_FILES, NO_RESOLVER } from "./etc-parts.ts";

const ETC = "/etc";
/** Every user may read a file, and may read and enter a folder. */
const OPEN_FILE = 0o004;
const OPEN_FOLDER = 0o005;

/** A child's `/etc`. */
export interface Etc {
  /** The host's folder to bind at `/etc`. */
  readonly folder: string;
  /** Paths of the host to bind over it. */
  readonly live: readonly string[];
}

/** The parts of this machine's `/etc` that children see, relative to it, in order. */
export function shownParts(etc = ETC): string[] {
  return [...LIVE_PARTS, ...COPIED_PARTS].flatMap((part) => matchesOf(part, etc)).sort();
}

/** The names that a part has on this machine. A search for a pattern takes much longer. */
function matchesOf(part: string, etc: string): string[] {
  if (part.includes("*")) return globSync(part, { cwd: etc });
  return lstatSync(join(etc, part), { throwIfNoEntry: false }) ? [part] : [];
}

/** The folders of one sandbox: one for each set of grants that needs its own. */
export class EtcFolders {
  readonly #folder: string;
  readonly #host: string;
  readonly #made = new Map<string, Promise<Etc>>();
  #next = 0;

  /**
   * @param folder of the server, for the made folders.
   * @param host the `/etc` of the machine.
   */
  constructor(folder: string, host = ETC) {
    this.#folder = folder;
    this.#host = host;
  }

  /** The `/etc` of a pool's children, with a place for each of its grants in `/etc`. */
  of({ network, readOnly }: Pick<Grants, "network" | "readOnly">): Promise<Etc> {
    const granted = readOnly
      .map(({ from, to }) => ({ from, to: posix.normalize(to) }))
      .filter(({ to }) => to.startsWith(`${ETC}/`));
    const key = JSON.stringify([network, granted]);
    let etc = this.#made.get(key);
    if (!etc) {
      etc = this.#make(join(this.#folder, `etc-${this.#next++}`), network, granted);
      this.#made.set(key, etc);
      // The next child tries again, for example when the disk is no longer full.
      etc.catch(() => this.#made.delete(key));
    }
    return etc;
  }

  async #make(folder: string, network: Grants["network"], granted: Grants["readOnly"]) {
    await mkdir(folder);
    for (const part of COPIED_PARTS) {
      for (const name of matchesOf(part, this.#host)) {
        // A symbolic link stays a link, so that it leads to nothing outside the sandbox.
        await cp(join(this.#host, name), join(folder, name), {
          recursive: true,
          verbatimSymlinks: true,
          filter: (from) => isOpen(lstatSync(from)),
        });
      }
    }
    for (const [name, text] of Object.entries(MADE_UP)) writeFileSync(join(folder, name), text);
    if (network !== "host") writeFileSync(join(folder, "resolv.conf"), NO_RESOLVER);
    const live = [
      ...LIVE_PARTS.map((part) => join(ETC, part)),
      ...(network === "host" ? NETWORK_FILES : []),
    ].filter((path) => existsSync(path));
    for (const path of live) makePlace(folder, path, path);
    for (const { from, to } of granted) makePlace(folder, from, to);
    makeReadable(folder);
    return { folder, live };
  }
}

/** Whether every user of the host may read a file or folder. */
function isOpen(stat: Stats): boolean {
  if (stat.isSymbolicLink()) return true;
  const wanted = stat.isDirectory() ? OPEN_FOLDER : OPEN_FILE;
  return (stat.isFile() || stat.isDirectory()) && (stat.mode & wanted) === wanted;
}

/** Lets every user read what is in a folder, whatever the server's `umask` is. */
function makeReadable(folder: string): void {
  for (const name of ["", ...readdirSync(folder, { recursive: true, encoding: "utf8" })]) {
    const stat = lstatSync(join(folder, name));
    if (!stat.isSymbolicLink()) chmodSync(join(folder, name), stat.isDirectory() ? 0o755 : 0o444);
  }
}

/** Makes the file or folder over which a path of the host is mounted. */
function makePlace(folder: string, from: string, to: string): void {
  const stat = statSync(from, { throwIfNoEntry: false });
  // bubblewrap reports a path that does not exist.
  if (!stat) return;
  const place = join(folder, relative(ETC, to));
  for (let path = place; path !== folder; path = dirname(path)) {
    // bubblewrap would follow a link to a place outside the folder.
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(path);
  }
  mkdirSync(stat.isDirectory() ? place : dirname(place), { recursive: true });
  if (!stat.isDirectory() && !existsSync(place)) writeFileSync(place, "");
}
