import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MAX_PROGRESS_MESSAGE, type Progress } from "../../openapi/events.ts";
import { ProgressEventSchema } from "../../openapi/schemas/events.ts";
import {
  isProgressMessage,
  readProgress,
  readProgressLine,
  readProgressMessage,
} from "../../server/runtimes/progress.ts";
import { ProgressThrottle, THROTTLE_MS } from "../../server/supervisor/output/progress-throttle.ts";

describe("a line of progress", () => {
  test.each<[string, Progress]>([
    ["3", { done: 3 }],
    ["3/10", { done: 3, total: 10 }],
    ["0.5/1.5 half an hour", { done: 0.5, total: 1.5, message: "half an hour" }],
    ["7 of them", { done: 7, message: "of them" }],
    ['{"done":3,"total":10,"message":"ü","more":1}', { done: 3, total: 10, message: "ü" }],
    ['{"done":1,"message":"a\\nb\\u0007c\\u001b[31m\\u202e"}', { done: 1, message: "a b c [31m" }],
    ['{"done":1,"message":"\\ud800x"}', { done: 1, message: "\ufffdx" }],
  ])("%s", (line, progress) => {
    expect(readProgressLine(line)).toEqual(progress);
  });

  test("a long message is cut between two characters", () => {
    expect(readProgressLine(`1 x${"😀".repeat(200)}`)?.message).toBe(`x${"😀".repeat(99)}`);
  });

  test.each([
    "",
    " ",
    "-1",
    "+1",
    "1/",
    "/1",
    "3/-1",
    "1e3",
    "0x10",
    "1//2",
    "50%",
    "x",
    "[1]",
    "1".repeat(400),
    '{"done":"1"}',
    '{"done":1e999}',
    "{}",
    "{",
  ])("%j is not progress", (line) => {
    expect(readProgressLine(line)).toBeUndefined();
  });

  test.each([
    ['{"kind":"progress","progress":{"done":1}}', true],
    ['{"kind": "progress", "progress": {"done": 1}}', true],
    ['{"progress":{"done":1}}', true],
    ['{ "progress":1}', true],
    ['{"kind":"returned","value":1}', false],
    ['{"value":{"progress":1}}', false],
    ["", false],
  ])("%s is a message of progress: %s", (line, is) => {
    expect(isProgressMessage(line)).toBe(is);
  });

  test("any value is ignored or is progress of the contract", () => {
    const line = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.json(),
      fc
        .record({
          done: fc.double(),
          total: fc.option(fc.double()),
          message: fc.string({ unit: "binary", maxLength: 500 }),
        })
        .map((given) => JSON.stringify(given)),
      fc
        .tuple(fc.double(), fc.double(), fc.string({ unit: "binary" }))
        .map(([done, total, words]) => `${done}/${total} ${words}`),
    );
    fc.assert(
      fc.property(line, (text) => {
        for (const progress of [
          readProgressLine(text),
          readProgressMessage(`{"progress":${text}}`),
        ]) {
          if (progress === undefined) continue;
          expect(
            ProgressEventSchema.strict().safeParse({ type: "progress", ...progress }).success,
          ).toBe(true);
          expect(progress.message ?? "").not.toMatch(/[\p{Cc}\p{Cs}\u2028\u2029]/u);
          expect((progress.message ?? "").length).toBeLessThanOrEqual(MAX_PROGRESS_MESSAGE);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("the last progress of a stream is reported, in whatever parts it arrives", async () => {
    const piece = fc.oneof(
      fc.nat(99).map(String),
      fc.constantFrom("x", "{", "", "é".repeat(3_000), "3/x"),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece),
        fc.infiniteStream(fc.integer({ min: 1, max: 5_000 })),
        fc.boolean(),
        async (lines, sizes, ended) => {
          const stream = new PassThrough();
          const told: Progress[] = [];
          const read = readProgress(stream, new Promise(() => {}), (progress) =>
            told.push(progress),
          );
          const bytes = Buffer.from(lines.join("\n") + (ended ? "\n" : ""));
          for (let at = 0; at < bytes.length; ) {
            const size = sizes.next().value as number;
            stream.write(bytes.subarray(at, at + size));
            at += size;
          }
          stream.end();
          await read;
          const last = lines.findLast((line) => /^\d+$/.test(line));
          expect(told.at(-1)).toEqual(last === undefined ? undefined : { done: Number(last) });
        },
      ),
      { numRuns: 300 },
    );
  });

  test("an endless line is read slowly, and not stored", async () => {
    const stream = new PassThrough();
    const read = readProgress(stream, new Promise(() => {}), () => {});
    let taken = 0;
    for (; stream.write(Buffer.alloc(16_384, "7")); taken += 16_384)
      if (taken > 100_000_000) throw new Error("it takes everything");
    stream.destroy();
    await read;
  });
});

describe("the progress throttle", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const thinned = (hasRoom = () => true) => {
    const told: number[] = [];
    const thinner = new ProgressThrottle({ take: ({ done }) => told.push(done), hasRoom });
    return { told, thinner };
  };

  test("reports the first at once, then the latest, and the last one at the end", () => {
    const { told, thinner } = thinned();
    for (const done of [1, 2, 3]) thinner.push({ done });
    expect(told).toEqual([1]);
    vi.advanceTimersByTime(THROTTLE_MS);
    expect(told).toEqual([1, 3]);
    vi.advanceTimersByTime(THROTTLE_MS * 5);
    thinner.push({ done: 4 });
    expect(told).toEqual([1, 3, 4]);
    thinner.push({ done: 5 });
    thinner.end();
    thinner.push({ done: 6 });
    expect(told).toEqual([1, 3, 4, 5]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("waits where there is no room, and then reports the latest", () => {
    let room = false;
    const { told, thinner } = thinned(() => room);
    thinner.push({ done: 1 });
    thinner.push({ done: 2 });
    vi.advanceTimersByTime(THROTTLE_MS * 10);
    expect(told).toEqual([]);
    room = true;
    vi.advanceTimersByTime(THROTTLE_MS);
    expect(told).toEqual([2]);
    thinner.end();
  });

  test("reports some thousands in a day", () => {
    const { told, thinner } = thinned();
    const day = 24 * 60 * 60 * 1_000;
    for (let at = 0; at < day; at += THROTTLE_MS) {
      thinner.push({ done: at });
      vi.advanceTimersByTime(THROTTLE_MS);
    }
    thinner.end();
    expect(told.at(-1)).toBe(day - THROTTLE_MS);
    expect(told.length).toBeLessThan(8_000);
  });

  test("keeps the order, the first and the last, repeats none, and reports few", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 200 }), (pauses) => {
        const { told, thinner } = thinned();
        const started = performance.now();
        for (const [done, ms] of pauses.entries()) {
          thinner.push({ done });
          vi.advanceTimersByTime(ms);
        }
        thinner.end();
        expect(told).toEqual([...new Set(told)].sort((a, b) => a - b));
        if (pauses.length > 0) expect([told[0], told.at(-1)]).toEqual([0, pauses.length - 1]);
        expect(told.length).toBeLessThanOrEqual((performance.now() - started) / THROTTLE_MS + 2);
        expect(vi.getTimerCount()).toBe(0);
      }),
    );
  });
});
