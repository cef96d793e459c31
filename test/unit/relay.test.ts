import fc from "fast-check";
import { expect, test } from "vitest";
import { wholeFrames } from "../../server/answers/remote/frames.ts";

/** A stream of events and comments, and how often it is cut into pieces of which sizes. */
const streams = fc.record({
  frames: fc.array(
    fc.oneof(
      fc.record({
        type: fc.constantFrom("stdout", "stderr", "result"),
        data: fc.string({ maxLength: 200 }),
      }),
      fc.constantFrom(":\n\n", ": a comment\n\n"),
    ),
    { maxLength: 20 },
  ),
  sizes: fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 20 }),
  rest: fc.constantFrom("", "event: stdout\nid: 99", ":\n"),
});

test("passes frames on whole and at once, however they are chunked, and knows the last event", () =>
  fc.assert(
    fc.asyncProperty(streams, async ({ frames, sizes, rest }) => {
      let id = 0;
      /** The event that a place of the stream is the end of, or behind. */
      const ends: { at: number; last: { id: number; type: string } | undefined }[] = [
        { at: 0, last: undefined },
      ];
      let text = "";
      for (const frame of frames) {
        text +=
          typeof frame === "string"
            ? frame
            : `event: ${frame.type}\nid: ${++id}\ndata: ${JSON.stringify(frame.data)}\n\n`;
        ends.push({
          at: Buffer.byteLength(text),
          last: typeof frame === "string" ? ends.at(-1)?.last : { id, type: frame.type },
        });
      }
      const bytes = Buffer.from(text + rest);
      let given = 0;
      async function* chunks() {
        for (let count = 0; given < bytes.length; count++) {
          const from = given;
          given = Math.min(bytes.length, given + (sizes[count % sizes.length] as number));
          yield bytes.subarray(from, given);
        }
      }
      let passed = 0;
      let last: { id: number; type: string } | undefined;
      for await (const run of wholeFrames(chunks())) {
        const whole = Buffer.concat(run.pieces);
        expect(whole.equals(bytes.subarray(passed, passed + whole.length))).toBe(true);
        passed += whole.length;
        last = run.last ?? last;
        expect(passed).toBe(ends.findLast(({ at }) => at <= given)?.at);
        expect(last).toEqual(ends.find(({ at }) => at === passed)?.last);
      }
      expect(passed).toBe(Buffer.byteLength(text));
    }),
    { numRuns: 1_000 },
  ));
