/** The ring under an event log, which evicts when it is told to. */
import { expect, test } from "vitest";
import type { PoolEvent } from "../../openapi/events.ts";
import { Ring } from "../../server/supervisor/output/ring.ts";

const EVENT: PoolEvent = { type: "stdout", text: "" };

/** A ring whose entries carry so many bytes of stdout each. */
function ringOf(...lengths: number[]): Ring {
  const ring = new Ring();
  for (const length of lengths) ring.push("stdout", () => EVENT, Buffer.alloc(length));
  return ring;
}

test("ids count up from 1, and offsets count the bytes of output", () => {
  const ring = ringOf(3, 4);
  ring.push("stderr", () => EVENT, Buffer.alloc(5));
  expect([1, 2, 3].map((id) => ring.get(id)?.to)).toEqual([3, 7, 12]);
  expect([1, 2, 3].map((id) => ring.get(id)?.stdoutTo)).toEqual([3, 7, 7]);
  expect([0, 1, 2, 3].map((id) => ring.offsetBehind(id))).toEqual([0, 3, 7, 12]);
  expect(ring.get(4)).toBeUndefined();
});

test("an evicted entry leaves its offset, and no memory", () => {
  const ring = ringOf(3, 4, 5);
  ring.evict();
  ring.evict();
  expect(ring.size).toBe(1);
  expect(ring.heldBytes).toBe(5);
  expect([1, 2].map((id) => ring.get(id))).toEqual([undefined, undefined]);
  expect([0, 1, 2, 3].map((id) => ring.offsetBehind(id))).toEqual([0, 3, 7, 12]);
});

test("offsets of very old entries are unknown, and entries stay in order", () => {
  const ring = new Ring();
  for (let count = 1; count <= 200_000; count++) {
    ring.push("stdout", () => EVENT, Buffer.of(0));
    if (ring.size > 10) ring.evict();
  }
  expect(ring.oldest?.id).toBe(199_991);
  expect(ring.get(200_000)?.to).toBe(200_000);
  expect(ring.offsetBehind(1)).toBeUndefined();
  expect(ring.offsetBehind(199_990 - 65_535)).toBe(199_990 - 65_535);
});

test("a byte of stdout lies behind the last entry that ends before it", () => {
  const ring = ringOf(3, 4);
  expect([0, 2, 3, 6, 7].map((byte) => ring.idBeforeStdout(byte))).toEqual([0, 0, 1, 1, 2]);
});
