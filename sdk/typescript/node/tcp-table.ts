/** The kernel's list of TCP connections, `/proc/self/net/tcp` and `tcp6`. */
import { type Socket, SocketAddress } from "node:net";
import { endianness } from "node:os";

/** Names a connection by its two ends, each an address and a port. */
export function connectionOf({
  localAddress,
  localPort,
  remoteAddress,
  remotePort,
}: Socket): string {
  const withoutZone = (address = "") => address.split("%")[0];
  return `${withoutZone(localAddress)} ${localPort} ${withoutZone(remoteAddress)} ${remotePort}`;
}

/**
 * The connections in a table of the kernel, each with its count of unanswered packets, and of the
 * bytes that its peer has not acknowledged.
 */
export function unansweredIn(
  table: string,
): [connection: string, packets: number, bytes: number][] {
  const found: [string, number, number][] = [];
  for (const line of table.split("\n").slice(1)) {
    const [, local, remote, , queues = "", , retransmits, , probes] = line.trim().split(/\s+/);
    if (!local || !remote) continue;
    found.push([
      `${endOf(local)} ${endOf(remote)}`,
      Number.parseInt(retransmits as string, 16) + Number(probes),
      Number.parseInt(queues, 16),
    ]);
  }
  return found;
}

/** A cache of translated ends, because most of them are in the next table again. */
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

/** `0100007F:1CE8` is 127.0.0.1, port 7400: 32-bit words of the address in the machine's order. */
function readEnd(hex: string): string {
  const [words = "", port = ""] = hex.split(":");
  const bytes = Buffer.from(words, "hex");
  if (endianness() === "LE") bytes.swap32();
  const groups = bytes.toString("hex").match(/.{4}/g) ?? [];
  const address =
    bytes.length === 4
      ? bytes.join(".")
      : new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
  return `${address} ${Number.parseInt(port, 16)}`;
}
