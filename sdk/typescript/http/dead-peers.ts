/**
 * Connections whose other side is gone without a word: its machine is off, or the network between is. A TCP keepalive alone does not tell:
 * Linux sends no probes while something that was written is unacknowledged, such as a heartbeat, and repeats that for 15 minutes. But it
 * says of each connection how many packets in a row have had no answer, probes and repetitions alike. A reader that is there and takes
 * nothing answers them all. Where there is no such list (macOS), the keepalive does it by itself.
 *
 * Nor is a connection that the kernel has ended, by a reset or the keepalive, told to a program that does not read from it, as while what it
 * has read is held up. From the list it is gone.
 */
import { readFile } from "node:fs/promises";
import { type Socket, SocketAddress } from "node:net";
import { endianness } from "node:os";
import { setTimeout as pause } from "node:timers/promises";

/** A connection on which nothing comes for so long is probed, each second; ten probes without an answer end it. */
export const KEEP_ALIVE_DELAY_MS = 3_000;

const SCAN_INTERVAL_MS = 2_000;
/** A peer that answers nothing from one scan to the fourth after it, 8 seconds, is gone. */
const SCANS = 5;
/** So many packets more have to be without an answer by then: a count that stands still is a reader that takes nothing. */
const MORE_UNANSWERED = 2;

const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/** Packets without an answer, at first and now, and in how many scans in a row; one that finds fewer begins anew. */
interface Silence {
  readonly first: number;
  readonly packets: number;
  readonly scans: number;
}

const watched = new Map<string, Socket>();
let scanning = false;

/**
 * Destroys a connected socket once its peer is gone, with the error `ETIMEDOUT`, within 15 seconds; or once it was reset unnoticed, with
 * `ECONNRESET`. Its keepalive has to be on.
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
  let listed = new Set<Socket>();
  let missing = new Set<Socket>();
  while (watched.size > 0) {
    await pause(SCAN_INTERVAL_MS, undefined, { ref: false });
    const tables = await Promise.all(TABLES.map(read));
    // Too many files may be open.
    if (tables.includes(undefined)) continue;
    const silences = new Map<Socket, Silence>();
    const found = new Set<Socket>();
    for (const [key, packets] of tables.flatMap((table) => unansweredIn(table ?? ""))) {
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
      if (silence.scans >= SCANS && packets >= silence.first + MORE_UNANSWERED)
        socket.destroy(gone("ETIMEDOUT", "the other side does not answer any more"));
    }
    // A list is no snapshot: to be missing once says nothing, nor does never to have been there.
    for (const socket of missing)
      if (!found.has(socket)) socket.destroy(gone("ECONNRESET", "the connection was reset"));
    missing = new Set([...listed].filter((socket) => !found.has(socket)));
    listed = found;
    before = silences;
  }
  scanning = false;
}

const gone = (code: string, message: string) => Object.assign(new Error(message), { code });

/** A table of the kernel, empty where there is none; undefined when it cannot be read now. */
async function read(path: string): Promise<string | undefined> {
  return readFile(path, "latin1").catch(({ code }: NodeJS.ErrnoException) =>
    code === "ENOENT" ? "" : undefined,
  );
}

/** A connection by its ends, each an address and a port. */
export function connectionOf({
  localAddress,
  localPort,
  remoteAddress,
  remotePort,
}: Socket): string {
  const withoutZone = (address = "") => address.split("%")[0];
  return `${withoutZone(localAddress)} ${localPort} ${withoutZone(remoteAddress)} ${remotePort}`;
}

/** The connections of a table of the kernel, and how many packets of each have not been answered. */
export function unansweredIn(table: string): [connection: string, packets: number][] {
  const found: [string, number][] = [];
  for (const line of table.split("\n").slice(1)) {
    const [, local, remote, , , , retransmits, , probes] = line.trim().split(/\s+/);
    if (!local || !remote) continue;
    found.push([
      `${endOf(local)} ${endOf(remote)}`,
      Number.parseInt(retransmits as string, 16) + Number(probes),
    ]);
  }
  return found;
}

/** Ends that tables have written, and what they mean: most of them stand in the next one too. */
const knownEnds = new Map<string, string>();
const MAX_KNOWN_ENDS = 100_000;

function endOf(hex: string): string {
  let end = knownEnds.get(hex);
  if (end === undefined) {
    end = readEnd(hex);
    if (knownEnds.size >= MAX_KNOWN_ENDS) knownEnds.clear();
    knownEnds.set(hex, end);
  }
  return end;
}

/** `0100007F:1CE8` is 127.0.0.1, port 7400: the address in words of 32 bits, each as the machine holds it. */
function readEnd(hex: string): string {
  const [words = "", port = ""] = hex.split(":");
  const bytes = Buffer.from(words, "hex");
  if (endianness() === "LE") bytes.swap32();
  if (bytes.length === 4) return `${bytes.join(".")} ${Number.parseInt(port, 16)}`;
  const groups = bytes.toString("hex").match(/.{4}/g) ?? [];
  return `${new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address} ${Number.parseInt(port, 16)}`;
}
