/** Splits output at markers: no byte is lost, moved or delayed, in whatever parts it arrives. */
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { OutputSplitter } from "../../server/runtimes/functions/output-splitter.ts";

const MARKER = "0102";

/** Writes in parts of these sizes, which repeat. */
async function write(source: PassThrough, bytes: Buffer, sizes: readonly number[]): Promise<void> {
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length] ?? 1;
    source.write(bytes.subarray(at, at + size));
    at += size;
    await new Promise(setImmediate);
  }
}

test("each call gets the output before its marker, in whatever parts it arrives", async () => {
  // The output consists of the marker's characters, so that it has many false beginnings.
  const output = fc
    .string({ unit: fc.constantFrom("0", "1", "2", "x"), maxLength: 30 })
    .filter((text) => !`${text}${MARKER}`.slice(0, -1).includes(MARKER));
  await fc.assert(
    fc.asyncProperty(
      fc.array(output, { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      async (outputs, sizes) => {
        const source = new PassThrough();
        const stray = vi.fn();
        const cut = new OutputSplitter(source, stray);
        for (const text of outputs) {
          const { stream, whole } = cut.next(MARKER);
          const got = buffer(stream);
          await write(source, Buffer.from(`${text}${MARKER}`), sizes);
          await whole;
          expect(String(await got)).toBe(text);
        }
        expect(stray).not.toHaveBeenCalled();
      },
    ),
    { numRuns: 200 },
  );
});

test("output that cannot begin the marker is not held back", async () => {
  const source = new PassThrough();
  const { stream } = new OutputSplitter(source, () => {}).next(MARKER);
  source.write("prompt 01");
  const { value } = await stream[Symbol.asyncIterator]().next();
  expect(String(value)).toBe("prompt ");
});

test("output between two calls is reported, and belongs to no call", async () => {
  const source = new PassThrough();
  const stray = vi.fn();
  const cut = new OutputSplitter(source, stray);
  const first = cut.next(MARKER);
  source.write(`a${MARKER}late`);
  expect(String(await buffer(first.stream))).toBe("a");
  await vi.waitFor(() => expect(stray).toHaveBeenCalledTimes(1));
  const second = cut.next(MARKER);
  source.write(`b${MARKER}`);
  expect(String(await buffer(second.stream))).toBe("b");
  source.write("later");
  await vi.waitFor(() => expect(stray).toHaveBeenCalledTimes(2));
});

test("the end of the output ends the call's piece, without losing a byte", async () => {
  const source = new PassThrough();
  const { stream, whole } = new OutputSplitter(source, () => {}).next(MARKER);
  source.end("cut off 01");
  expect(String(await buffer(stream))).toBe("cut off 01");
  await whole;
});

test("a slow reader holds the output back, and loses nothing", async () => {
  const source = new PassThrough();
  const cut = new OutputSplitter(source, () => {});
  const { stream, whole } = cut.next(MARKER);
  source.write(Buffer.alloc(200_000, "x"));
  await vi.waitFor(() => expect(cut.paused).toBe(true));
  source.write(MARKER);
  expect((await buffer(stream)).length).toBe(200_000);
  await whole;
});
