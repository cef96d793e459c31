/**
 * Connections whose other side is gone without a word: its machine is off, or the network between is. A TCP keepalive alone does not tell:
 * Linux sends no probes while something that was written is unacknowledged, such as a heartbeat, and repeats that for 15 minutes. But it
 * says of each connection how many packets in a row have had no answer, probes and repetitions alike. A reader that is there and takes
 * nothing answers them all. Where there is no such list (macOS), the keepalive does it by itself.
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

/** Destroys a connected socket, with the error `ETIMEDOUT`, once its peer is gone: within 15 seconds. Its keepalive has to be on. */
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
  while (watched.size > 0) {
    await pause(SCAN_INTERVAL_MS, undefined, { ref: false });
    const tables = await Promise.all(TABLES.map((path) => readFile(path, "latin1").catch(() => "")));
    const silences = new Map<Socket, Silence>();
    for (const [key, packets] of tables.flatMap(unansweredIn)) {
      const socket = watched.get(key);
      if (!socket) continue;
      const last = before.get(socket);
      const silence = last && packets >= last.packets ? { ...last, packets, scans: last.scans + 1 } : { first: packets, packets, scans: 1 };
      silences.set(socket, silence);
      if (silence.scans >= SCANS && packets >= silence.first + MORE_UNANSWERED) socket.destroy(gone());
    }
    before = silences;
  }
  scanning = false;
}

const gone = () => Object.assign(new Error("the other side does not answer any more"), { code: "ETIMEDOUT" });

/** A connection by its ends, each an address and a port. */
export function connectionOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  const withoutZone = (address = "") => address.split("%")[0];
  return `${withoutZone(localAddress)} ${localPort} ${withoutZone(remoteAddress)} ${remotePort}`;
}

/** The connections of a table of the kernel with packets that have not been answered, and how many. */
export function unansweredIn(table: string): [connection: string, packets: number][] {
  const found: [string, number][] = [];
  for (const line of table.split("\n").slice(1)) {
    const [, local, remote, , , , retransmits, , probes] = line.trim().split(/\s+/);
    if (!local || !remote) continue;
    const packets = Number.parseInt(retransmits as string, 16) + Number(probes);
    if (packets > 0) found.push([`${endOf(local)} ${endOf(remote)}`, packets]);
  }
  return found;
}

/** `0100007F:1CE8` is 127.0.0.1, port 7400: the address in words of 32 bits, each as the machine holds it. */
function endOf(hex: string): string {
  const [words = "", port = ""] = hex.split(":");
  const bytes = Buffer.from(words, "hex");
  if (endianness() === "LE") bytes.swap32();
  if (bytes.length === 4) return `${bytes.join(".")} ${Number.parseInt(port, 16)}`;
  const groups = bytes.toString("hex").match(/.{4}/g) ?? [];
  return `${new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address} ${Number.parseInt(port, 16)}`;
}
