/** The memory of connections that nobody accepts, by the kernel's tables. */
import { expect, test } from "vitest";
import { bytesOfRows } from "../../server/sandbox/socket-watch.ts";

const row = (state: string, received: number, uid: number, inode: number) =>
  `   0: 0100007F:8797 00000000:0000 ${state} 00000000:${received
    .toString(16)
    .toUpperCase()
    .padStart(
      8,
      "0",
    )} 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 501 00000000d6ef6f23\n`;
const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

test("a queue counts by its connections, and a connection in it by its unread bytes", () => {
  const queue = row("0A", 500, 1_900_000_001, 19_061_088);
  expect(bytesOfRows(HEAD + queue, undefined)).toBe(500 * 4_096);
  const unread = row("01", 1_000, 0, 0) + row("08", 1_000, 0, 0);
  expect(bytesOfRows(queue + unread, undefined)).toBe(500 * 4_096 + 2 * (2_000 + 32_768));
});

test("connections that a process has accepted, or that are closing, do not count", () => {
  const rows = row("01", 1_000, 0, 77) + row("06", 1_000, 0, 0) + row("04", 1_000, 0, 0);
  expect(bytesOfRows(HEAD + rows + row("01", 0, 0, 0), undefined)).toBe(0);
});

test("on a shared network, only the rows of one user count", () => {
  const rows = row("0A", 1, 7, 5) + row("0A", 2, 8, 6) + row("01", 100, 8, 0);
  expect(bytesOfRows(rows, 7)).toBe(4_096);
});
