/** The kernel's lists of connections, as /proc/net/tcp and tcp6 show them. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { endianness, networkInterfaces } from "node:os";
import { expect, onTestFinished, test } from "vitest";
import { connectionOf, unansweredIn } from "../../sdk/typescript/node/tcp-table.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue " +
  "tr tm->when retrnsmt   uid  timeout inode";
const line = (ends: string, state: string) =>
  `   7: ${ends} ${state} 8415890 3 00000000098e27be 163 0 0 1 -1`;

/** The table has addresses as 32-bit words in the machine's order. */
test.skipIf(endianness() !== "LE")("unanswered packets and bytes are counted by connection", () => {
  const found = unansweredIn(
    [
      HEAD,
      line(
        "0209D30A:1CE8 00000000:0000",
        "0A 00000000:00000000 00:00000000 00000000     0        0",
      ),
      // Eleven repetitions after four probes.
      line(
        "0109D30A:1CE8 0209D30A:B93A",
        "01 00000002:00000000 01:00000047 0000000B     0        4",
      ),
      // A reader that takes nothing: its window is closed, and it answers each probe.
      line(
        "0109D30A:1CE8 0309D30A:B93A",
        "01 00400000:00000000 04:00000047 00000000     0        0",
      ),
      line(
        "0000000000000000FFFF00000100007F:1CE8 0000000000000000FFFF00000200007F:C001",
        "01 00000000:00000000 02:00000047 00000000     0        1",
      ),
      line(
        "B80D0120000000000100000001000000:1CE8 00000000000000000000000001000000:0050",
        "01 00000000:00000000 02:00000047 00000000     0       12",
      ),
      "",
    ].join("\n"),
  );
  expect(found).toEqual([
    ["10.211.9.2 7400 0.0.0.0 0", 0, 0],
    ["10.211.9.1 7400 10.211.9.2 47418", 15, 2],
    ["10.211.9.1 7400 10.211.9.3 47418", 0, 0x400000],
    ["::ffff:127.0.0.1 7400 ::ffff:127.0.0.2 49153", 1, 0],
    ["2001:db8::1:0:1 7400 ::1 80", 12, 0],
  ]);
});

const hasIPv6 = Object.values(networkInterfaces()).some((each) =>
  each?.some(({ address }) => address === "::1"),
);

test.skipIf(process.platform !== "linux" || !hasIPv6).each([
  ["tcp", "127.0.0.1", "127.0.0.1"],
  ["tcp6", "::1", "::1"],
  ["tcp6", "::", "127.0.0.1"],
])(
  "the kernel's %s names a connection to %s, by %s, as its socket does",
  async (table, host, to) => {
    const server = createServer().listen(0, host);
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const accepted = once(server, "connection");
    const client = connect((server.address() as AddressInfo).port, to);
    onTestFinished(() => void client.destroy());
    const [socket] = (await accepted) as [Socket];
    // This makes each connection look as if three of its packets had no answer.
    const lines = readFileSync(`/proc/self/net/${table}`, "latin1").replaceAll(
      /( \S\S:\S{8} )\S{8} /g,
      "$100000003 ",
    );
    expect(unansweredIn(lines)).toContainEqual([connectionOf(socket), 3, 0]);
  },
);
