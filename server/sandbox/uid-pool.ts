/** The user that a child runs as when the server is root. */
import { readFileSync } from "node:fs";

/**
 * Above the uids of systemd, container engines and `useradd`: 1879048192 to 2147483647 are unused
 * (https://systemd.io/UIDS-GIDS/).
 */
const FIRST_UID = 1_900_000_000;
/** 10,000 uids for each server process: far more than it has children. */
const RANGE = 10_000;
/** 20,000 ranges before they repeat: the last uid is below 2^31. */
const RANGES = 20_000;
/** `nobody`, for a container that maps only the first uids. */
const FALLBACK_UID = 65_534;

/** Whether a uid exists in this process's user namespace. */
function isMapped(uid: number): boolean {
  return readFileSync("/proc/self/uid_map", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .some(([inside = 0, , count = 0]) => uid >= inside && uid < inside + count);
}

/** Lends a uid to each child. A server that is not root has only its own user. */
export class UidPool {
  /** Whether children run as another user than the server. */
  readonly active = process.getuid?.() === 0;
  readonly #taken = new Set<number>();
  readonly #first = FIRST_UID + (process.pid % RANGES) * RANGE;
  readonly #mapped = this.active && isMapped(this.#first + RANGE - 1);
  /** Whether no two children share a user. */
  readonly areUnique = this.#mapped;
  #next = 0;

  /** A uid that no other child has; undefined for the server's own. */
  acquire(): number | undefined {
    if (!this.active) return undefined;
    if (!this.#mapped) return FALLBACK_UID;
    do this.#next = (this.#next + 1) % RANGE;
    while (this.#taken.has(this.#next) && this.#taken.size < RANGE);
    this.#taken.add(this.#next);
    return this.#first + this.#next;
  }

  release(uid: number | undefined): void {
    if (uid !== undefined) this.#taken.delete(uid - this.#first);
  }
}
