/** The batches that one output of a child becomes. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BATCH_MS, OutputBatcher, unfinished } from "../../server/supervisor/output/batcher.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function batching(text: boolean) {
  const batches: Buffer[] = [];
  return {
    batcher: new OutputBatcher({ text, take: (bytes) => batches.push(bytes) }),
    batches,
    texts: () => batches.map((batch) => batch.toString("latin1")),
  };
}

describe("OutputBatcher", () => {
  test("sends the first bytes at once, the next ones together, and after a silence at once", () => {
    const { batcher, texts } = batching(false);
    for (const line of ["one", "two", "three"]) batcher.push(Buffer.from(line));
    expect(texts()).toEqual(["one"]);
    vi.advanceTimersByTime(BATCH_MS);
    expect(texts()).toEqual(["one", "twothree"]);
    vi.advanceTimersByTime(2 * BATCH_MS);
    batcher.push(Buffer.from("four"));
    expect(texts()).toEqual(["one", "twothree", "four"]);
    batcher.end();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("sends 64 KiB without waiting", () => {
    const { batcher, batches } = batching(false);
    batcher.push(Buffer.alloc(1));
    for (let part = 0; part < 4; part++) batcher.push(Buffer.alloc(20_000));
    expect(batches.map(({ length }) => length)).toEqual([1, 80_000]);
  });

  test("keeps all bytes in order, and each text batch decodes as the whole does", () => {
    const bytes = fc.array(
      fc.oneof(
        fc.string({ unit: "grapheme" }).map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 6 }).map((array) => Buffer.from(array)),
        fc
          .constantFrom("\u20ac", "\r\n", "\0", "\ufeff", "👩‍👩‍👧", "\ud83d")
          .map((text) => Buffer.from(text)),
        // Unfinished characters, surrogates and overlong forms: none of them is UTF-8.
        fc
          .constantFrom("e282", "f09f98", "eda080", "c080", "e08080", "f4908080", "80", "ff")
          .map((hex) => Buffer.from(hex, "hex")),
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(
        bytes,
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
        fc.boolean(),
        (parts, cuts, pausing) => {
          const whole = Buffer.concat(parts);
          const { batcher, batches } = batching(true);
          for (let at = 0, turn = 0; at < whole.length; turn++) {
            const length = cuts[turn % cuts.length] as number;
            batcher.push(whole.subarray(at, at + length));
            at += length;
            if (pausing && turn % 3 === 0) vi.advanceTimersByTime(BATCH_MS);
          }
          batcher.end();
          expect(Buffer.concat(batches).equals(whole)).toBe(true);
          const reference = new TextDecoder("utf-8", { ignoreBOM: true }).decode(whole);
          expect(batches.map((batch) => batch.toString("utf8")).join("")).toBe(reference);
          expect(vi.getTimerCount()).toBe(0);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

test.each([
  ["", 0],
  ["61", 0],
  ["c3", 1],
  ["e282", 2],
  ["f09f98", 3],
  ["e282ac", 0],
  ["f09f9880", 0],
  ["80808080", 0],
  ["c1", 0],
  ["f5", 0],
])("of %s, the last %i bytes begin a character", (hex, count) => {
  expect(unfinished(Buffer.from(hex, "hex"))).toBe(count);
});
