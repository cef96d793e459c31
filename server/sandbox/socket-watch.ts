/**
 * Watches the memory of connections that children do not accept. The kernel makes them outside of
 * any process, so no control group counts them, nor the bytes that wait in them. Their tables are
 * described at https://docs.kernel.org/networking/proc_net_tcp.html.
 */
import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";

/** The whole machine's counters are read this often, whatever the number of children. */
const POLL_MS = 100;
/** Without growth of the machine's counters, each child's own are read this often. */
const IDLE_LOOK_MS = 5_000;
/** Growth of the machine's TCP sockets after which the children's tables are read: 4 MiB. */
const GROWN_SOCKETS = 1_024;
/** Growth of the machine's TCP memory after which the children's tables are read: 8 MiB. */
const GROWN_PAGES = 2_048;
/** Memory of one connection in an accept queue, without its bytes. Measured: 2.2 to 5.9 KiB. */
const QUEUED_BYTES = 4_096;
/** Memory of unread bytes, beside twice their number. Measured: 28 KiB for 600 small segments. */
const UNREAD_BYTES = 32_768;
/** Memory of one closed connection that the kernel remembers. Measured: 444 bytes. */
const TIME_WAIT_BYTES = 512;
const CHUNK_BYTES = 65_536;
/** 8 MiB, about 54,000 connections, are read of a table. */
const MAX_TABLE_BYTES = 8 * 1024 * 1024;

/** The states `TCP_ESTABLISHED`, `TCP_CLOSE_WAIT` and `TCP_LISTEN` of `net/tcp_states.h`. */
const ESTABLISHED = "01";
const CLOSE_WAIT = "08";
const LISTEN = "0A";
const ROW = /^ *\d+: \S+ \S+ ([0-9A-F]{2}) [0-9A-F]{8}:([0-9A-F]{8}) \S+ \S+ +(\d+) +\d+ (\d+) /gm;

/** A child whose connections are watched. */
export interface Watched {
  /** A process in the child's network namespace. */
  readonly pid: number;
  /** Bytes of uncounted memory after which {@link exceed} is called. */
  readonly maxBytes: number;
  /** The user of the child's sockets; undefined for a network namespace of the child's own. */
  readonly uid: number | undefined;
  /** Ends the child. */
  readonly exceed: () => void;
}

/** The watch over all children of one sandbox. */
export class SocketWatch {
  /** The watched children; true while a child's tables are being read. */
  readonly #children = new Map<Watched, boolean>();
  #timer: NodeJS.Timeout | undefined;
  #seen = { sockets: 0, pages: 0, at: 0 };

  /** Watches a child until the returned function is called. */
  add(child: Watched): () => void {
    this.#children.set(child, false);
    this.#timer ??= setInterval(() => this.#poll(), POLL_MS).unref();
    return () => {
      this.#children.delete(child);
      if (this.#children.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  #poll(): void {
    const use = machineUse();
    if (!use) return;
    const { sockets, pages } = use;
    const seen = this.#seen;
    const now = performance.now();
    const hasGrown =
      sockets - seen.sockets >= GROWN_SOCKETS ||
      pages - seen.pages >= GROWN_PAGES ||
      now - seen.at >= IDLE_LOOK_MS;
    if (!hasGrown) {
      seen.sockets = Math.min(seen.sockets, sockets);
      seen.pages = Math.min(seen.pages, pages);
      return;
    }
    this.#seen = { sockets, pages, at: now };
    for (const [child, isLooking] of this.#children) if (!isLooking) void this.#look(child);
  }

  async #look(child: Watched): Promise<void> {
    this.#children.set(child, true);
    try {
      if ((await uncountedBytes(child)) > child.maxBytes && this.#children.has(child))
        child.exceed();
    } catch {
      // The child has ended in this moment.
    } finally {
      if (this.#children.has(child)) this.#children.set(child, false);
    }
  }
}

/**
 * TCP sockets of the whole machine, and pages of memory in their buffers. Undefined for a moment
 * without a free descriptor.
 */
function machineUse(): { readonly sockets: number; readonly pages: number } | undefined {
  try {
    const text = readFileSync("/proc/net/sockstat", "utf8");
    const [, sockets = 0, pages = 0] = /^TCP: .* alloc (\d+) mem (\d+)/m.exec(text) ?? [];
    return { sockets: Number(sockets), pages: Number(pages) };
  } catch {
    return undefined;
  }
}

/** Bytes of kernel memory that a child's connections take beside what its group counts. */
async function uncountedBytes({ pid, uid, maxBytes }: Watched): Promise<number> {
  const folder = `/proc/${pid}/net`;
  let bytes = 0;
  if (uid === undefined) {
    const [, inUse = 0, closed = 0] =
      /^TCP: inuse (\d+) orphan \d+ tw (\d+)/m.exec(readFileSync(`${folder}/sockstat`, "utf8")) ??
      [];
    const [, inUse6 = 0] =
      /^TCP6: inuse (\d+)/m.exec(readFileSync(`${folder}/sockstat6`, "utf8")) ?? [];
    bytes = Number(closed) * TIME_WAIT_BYTES;
    if (Number(inUse) + Number(inUse6) === 0) return bytes;
  }
  for (const name of ["tcp", "tcp6"]) {
    if (bytes > maxBytes) break;
    const budget = maxBytes - bytes;
    bytes += await bytesInTable(`${folder}/${name}`, uid, budget).catch(ignoreMissing);
  }
  return bytes;
}

/** A machine without IPv6 has no table of it. */
function ignoreMissing(error: NodeJS.ErrnoException): number {
  if (error.code === "ENOENT") return 0;
  throw error;
}

/** Stops when the sum is larger than `budget`. Infinite for a table too long to be read. */
async function bytesInTable(path: string, uid: number | undefined, budget: number) {
  const file = await open(path);
  try {
    let bytes = 0;
    let rest = "";
    for (let read = 0; bytes <= budget; ) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES);
      if (bytesRead === 0) return bytes;
      read += bytesRead;
      if (read > MAX_TABLE_BYTES) return uid === undefined ? Number.POSITIVE_INFINITY : bytes;
      const text = rest + buffer.toString("latin1", 0, bytesRead);
      const end = text.lastIndexOf("\n") + 1;
      bytes += bytesOfRows(text.slice(0, end), uid);
      rest = text.slice(end);
    }
    return bytes;
  } finally {
    await file.close();
  }
}

/**
 * The memory of the connections in rows of a table that no process has accepted. Pure.
 *
 * @param uid the user whose rows count; undefined for all rows.
 */
export function bytesOfRows(rows: string, uid: number | undefined): number {
  let bytes = 0;
  for (const [, state, received = "", owner, inode] of rows.matchAll(ROW)) {
    if (uid !== undefined && Number(owner) !== uid) continue;
    const count = Number.parseInt(received, 16);
    // A listening socket has the length of its queue where others have their unread bytes.
    if (state === LISTEN) bytes += count * QUEUED_BYTES;
    else if (inode === "0" && count > 0 && (state === ESTABLISHED || state === CLOSE_WAIT))
      bytes += 2 * count + UNREAD_BYTES;
  }
  return bytes;
}
