import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BATCH_MS, OutputBatcher, unfinished } from "../../server/supervisor/output/batcher.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function gathering(text: boolean) {
  const pieces: Buffer[] = [];
  return {
    gather: new OutputBatcher({ text, take: (bytes) => pieces.push(bytes) }),
    pieces,
    texts: () => pieces.map((piece) => piece.toString("latin1")),
  };
}

describe("Gather", () => {
  test("the first bytes go on at once, what follows soon together, and after a silence at once again", () => {
    const { gather, texts } = gathering(false);
    for (const line of ["one", "two", "three"]) gather.push(Buffer.from(line));
    expect(texts()).toEqual(["one"]);
    vi.advanceTimersByTime(BATCH_MS);
    expect(texts()).toEqual(["one", "twothree"]);
    vi.advanceTimersByTime(2 * BATCH_MS);
    gather.push(Buffer.from("four"));
    expect(texts()).toEqual(["one", "twothree", "four"]);
    gather.end();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("64 KiB wait for nothing", () => {
    const { gather, pieces } = gathering(false);
    gather.push(Buffer.alloc(1));
    for (let part = 0; part < 4; part++) gather.push(Buffer.alloc(20_000));
    expect(pieces.map(({ length }) => length)).toEqual([1, 80_000]);
  });

  test("whatever the bytes, the chunks and the pauses: nothing is lost or moved, and as text each piece decodes as the whole does", () => {
    const bytes = fc.array(
      fc.oneof(
        fc.string({ unit: "grapheme" }).map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 6 }).map((array) => Buffer.from(array)),
        fc
          .constantFrom("\u20ac", "\r\n", "\0", "\ufeff", "👩‍👩‍👧", "\ud83d")
          .map((text) => Buffer.from(text)),
        // Beginnings of characters, surrogates and overlong forms, which are no UTF-8.
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
          const { gather, pieces } = gathering(true);
          for (let at = 0, turn = 0; at < whole.length; turn++) {
            const length = cuts[turn % cuts.length] as number;
            gather.push(whole.subarray(at, at + length));
            at += length;
            if (pausing && turn % 3 === 0) vi.advanceTimersByTime(BATCH_MS);
          }
          gather.end();
          expect(Buffer.concat(pieces).equals(whole)).toBe(true);
          const reference = new TextDecoder("utf-8", { ignoreBOM: true }).decode(whole);
          expect(pieces.map((piece) => piece.toString("utf8")).join("")).toBe(reference);
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
