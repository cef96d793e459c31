/**
 * Finds connections whose peer is gone without a word: its machine is off, or the network is cut.
 *
 * A TCP keepalive alone does not find them all. Linux sends no probes while written bytes, such as
 * a heartbeat, are unacknowledged; it repeats those bytes for 15 minutes. But its list of
 * connections counts the packets in a row without an answer, probes and repetitions alike. A peer
 * that is there and reads nothing still answers each of them. Without such a list (macOS), the
 * keepalive works alone.
 *
 * A connection may also end by a reset, or by the keepalive, while the program does not read from
 * it. Node does not notice that, but the connection disappears from the list.
 *
 * A busy peer must not look like a dead one. While its backlog is full, a connection that it has
 * not accepted gets no answer either. And the list comes in pieces of 4 KiB, in which a busy
 * program misses connections when others open and close between two pieces.
 */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { connectionOf, unansweredIn } from "./tcp-table.ts";

/** 3 seconds of silence until the kernel probes, once a second; ten lost probes end it. */
export const KEEP_ALIVE_DELAY_MS = 3_000;

const SCAN_INTERVAL_MS = 2_000;
/**
 * 5 scans, which span 8 seconds: a peer that answers nothing in this time is gone, and so is a
 * connection that no list of this time contains.
 */
const SCANS = 5;
/** 2 more unanswered packets are needed by then. A count that stands still is a slow reader's. */
const MORE_UNANSWERED = 2;

const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/** Unanswered packets in consecutive scans. A scan with fewer than the last one starts over. */
interface Silence {
  readonly first: number;
  readonly packets: number;
  readonly scans: number;
}

/** The watched sockets, by the names of their connections. */
const watched = new Map<string, Socket>();
let scanning = false;

/**
 * Destroys a connected socket within 15 seconds after its peer is gone, with the error `ETIMEDOUT`;
 * after an unnoticed reset, with `ECONNRESET`. The socket's keepalive must be on.
 */
export function watchPeer(socket: Socket): void {
  if (process.platform !== "linux") return;
  const key = connectionOf(socket);
  watched.set(key, socket);
  socket.once("close", () => {
    if (watched.get(key) === socket) watched.delete(key);
  });
  if (!scanning) void scan();
}

async function scan(): Promise<void> {
  scanning = true;
  let before = new Map<Socket, Silence>();
  /** The sockets that were listed once, with the number of scans since then that missed them. */
  let listed = new Map<Socket, number>();
  while (watched.size > 0) {
    await pause(SCAN_INTERVAL_MS, undefined, { ref: false });
    const tables = await Promise.all(TABLES.map(read));
    // A scan is skipped while too many files are open.
    if (tables.includes(undefined)) continue;
    const silences = new Map<Socket, Silence>();
    const found = new Set<Socket>();
    for (const [key, packets, bytes] of tables.flatMap((table) => unansweredIn(table ?? ""))) {
      const socket = watched.get(key);
      if (!socket) continue;
      found.add(socket);
      if (packets === 0) continue;
      const last = before.get(socket);
      const silence =
        last && packets >= last.packets
          ? { ...last, packets, scans: last.scans + 1 }
          : { first: packets, packets, scans: 1 };
      silences.set(socket, silence);
      const isSilent = silence.scans >= SCANS && packets >= silence.first + MORE_UNANSWERED;
      if (isSilent && isAccepted(socket, bytes))
        socket.destroy(gone("ETIMEDOUT", "the other side does not answer any more"));
    }
    // The list is no snapshot and may lack a connection. One that was never listed proves nothing.
    const missing = new Map<Socket, number>();
    for (const [socket, misses] of listed) {
      if (found.has(socket) || socket.destroyed) continue;
      if (misses + 1 < SCANS) missing.set(socket, misses + 1);
      else socket.destroy(gone("ECONNRESET", "the connection was reset"));
    }
    for (const socket of found) missing.set(socket, 0);
    listed = missing;
    before = silences;
  }
  scanning = false;
}

/** Whether the peer has ever answered: it has acknowledged more than these bytes, or sent some. */
function isAccepted(socket: Socket & { readonly encrypted?: boolean }, unacknowledged: number) {
  const sent = socket.bytesWritten - socket.writableLength;
  // A handshake came before.
  return socket.encrypted || socket.bytesRead > 0 || sent > unacknowledged;
}

/** The error of a connection whose peer is gone. */
const gone = (code: string, message: string) => Object.assign(new Error(message), { code });

/** A table of the kernel: empty where the system has none, undefined when a read fails. */
function read(path: string) {
  return readFile(path, "latin1").catch(({ code }: NodeJS.ErrnoException) =>
    code === "ENOENT" ? "" : undefined,
  );
}
