/** The event log of a child: its order, its bounds, and readers that fall behind or are cut. */
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PoolEvent } from "../../openapi/events.ts";
import { sendEvents } from "../../server/answers/events.ts";
import { sendStdout } from "../../server/answers/stdout.ts";
import type { NodeContext } from "../../server/http/request.ts";
import { EventLog, RING_ENTRIES } from "../../server/supervisor/output/event-log.ts";
import type { LogEntry } from "../../server/supervisor/output/log-entry.ts";
import type { LogReader } from "../../server/supervisor/output/log-reader.ts";
import { collect, heldBytes, within } from "../helpers/member.ts";

const RESULT: PoolEvent = {
  type: "result",
  exitCode: 0,
  usage: { wallMs: 1, cpuMs: null, maxRssBytes: null },
  artifacts: [],
};
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** The output of a child from byte `from` on. The letter shows the offset, modulo 26. */
const outputAt = (from: number, length: number) =>
  Array.from({ length }, (_, index) => LETTERS[(from + index) % 26]).join("");

function write(log: EventLog, text: string): void {
  log.write("stdout", Buffer.from(text), "text");
}

/** The next entry, which has to be there already. */
async function next(entries: AsyncIterator<LogEntry, void>): Promise<LogEntry> {
  const { value } = await within("the next entry", entries.next());
  if (!value) throw new Error("expected an entry; the log is at its end");
  return value;
}

const all = (reader: LogReader) => within("the end of the log", collect(reader));
const iterate = (reader: LogReader) => reader[Symbol.asyncIterator]();

describe("EventLog", () => {
  test("ids count up from 1, and every reader sees the same entries", async () => {
    const log = new EventLog();
    const early = all(log.read({ lossless: true }));
    for (const text of ["one", "two", "three"]) write(log, text);
    const between = all(log.read());
    log.append(RESULT);
    const [first, second, late] = await Promise.all([early, between, all(log.read())]);
    expect(first.map(({ id, type }) => `${id} ${type}`)).toEqual([
      "1 stdout",
      "2 stdout",
      "3 stdout",
      "4 result",
    ]);
    expect(second).toEqual(first);
    expect(late).toEqual(first);
    expect(first[0]?.event).toEqual({ type: "stdout", text: "one" });
  });

  test("a terminal event closes it", () => {
    const log = new EventLog();
    expect(log.terminal).toBeUndefined();
    log.append(RESULT);
    expect(log.terminal).toMatchObject({ type: "result" });
    expect(() => write(log, "late")).toThrow("closed");
  });

  test("a lossless reader a ring behind makes it unwritable until it reads on", async () => {
    const log = new EventLog(100);
    const entries = iterate(log.read({ lossless: true }));
    write(log, outputAt(0, 60));
    expect(log.writable).toBe(true);
    write(log, outputAt(60, 60));
    expect(log.writable).toBe(false);
    let writable = false;
    const waiting = log.untilWritable().then(() => {
      writable = true;
    });
    expect((await next(entries)).event).toMatchObject({ text: outputAt(0, 60) });
    expect(writable).toBe(false);
    // An entry counts as read when the loop asks for the next one.
    await next(entries);
    await within("the log to be writable", waiting);
    expect(log.writable).toBe(true);
  });

  test(
    "one-byte entries are bounded in number: a lossless reader makes it wait, others get " +
      "a gap",
    async () => {
      const log = new EventLog();
      const reader = log.read({ lossless: true });
      for (let byte = 0; byte < RING_ENTRIES - 1; byte++) write(log, "x");
      expect(log.writable).toBe(true);
      write(log, "x");
      expect(log.writable).toBe(false);
      reader.close();
      expect(log.writable).toBe(true);
      for (let byte = 0; byte < 999; byte++) write(log, "x");
      log.append(RESULT);
      const entries = await all(log.read());
      expect(entries.length).toBe(1 + RING_ENTRIES);
      expect(entries[0]?.event).toEqual({ type: "gap", droppedBytes: 1_000 });
    },
  );

  test("a lossless reader that leaves makes it writable", async () => {
    const log = new EventLog(10);
    const reader = log.read({ lossless: true });
    write(log, outputAt(0, 10));
    expect(log.writable).toBe(false);
    const waiting = log.untilWritable();
    reader.close();
    await within("the log to be writable", waiting);
  });

  test("another reader that is behind finds a gap of exactly the missing bytes", async () => {
    const log = new EventLog(100);
    const entries = iterate(log.read());
    for (let from = 0; from < 500; from += 50) write(log, outputAt(from, 50));
    log.append(RESULT);
    const gap = await next(entries);
    expect(gap.type).toBe("gap");
    const { droppedBytes } = gap.event as { droppedBytes: number };
    const rest = await within("the rest", collect({ [Symbol.asyncIterator]: () => entries }));
    const text = rest.map(({ event }) => (event as { text?: string }).text ?? "").join("");
    expect(text).toBe(outputAt(droppedBytes, 500 - droppedBytes));
    expect(rest[0]?.id).toBe(gap.id + 1);
  });

  test("resumes after an id", async () => {
    const log = new EventLog();
    for (const text of ["one", "two", "three"]) write(log, text);
    log.append(RESULT);
    expect((await all(log.read({ after: 2 }))).map(({ id }) => id)).toEqual([3, 4]);
    expect(await all(log.read({ after: 4 }))).toEqual([]);
  });

  test("resumes after the id of a gap, without another gap", async () => {
    const log = new EventLog(10);
    for (let from = 0; from < 50; from += 5) write(log, outputAt(from, 5));
    log.append(RESULT);
    const [gap, ...rest] = await all(log.read());
    expect(gap?.type).toBe("gap");
    expect(await all(log.read({ after: gap?.id as number }))).toEqual(rest);
  });

  test("resumes after an evicted id with a gap of the bytes behind it", async () => {
    const log = new EventLog(10);
    for (let from = 0; from < 50; from += 5) write(log, outputAt(from, 5));
    log.append(RESULT);
    const [gap, ...rest] = await all(log.read({ after: 3 }));
    const kept = rest.reduce(
      (sum, { event }) => sum + ((event as { text?: string }).text?.length ?? 0),
      0,
    );
    expect(gap?.event).toEqual({ type: "gap", droppedBytes: 50 - 15 - kept });
  });

  test("an id that is still to come is invalid_request, and says what was expected", () => {
    const log = new EventLog();
    write(log, "one");
    expect(() => log.read({ after: 2 })).toThrow(
      expect.objectContaining({
        code: "invalid_request",
        message: expect.stringMatching(/expected .* up to 1; got 2/),
      }),
    );
  });

  test("an id too old for counting a gap is events_expired", () => {
    const log = new EventLog(1);
    for (let count = 0; count < 200_000; count++) write(log, "x");
    expect(() => log.read({ after: 1 })).toThrow(
      expect.objectContaining({ code: "events_expired" }),
    );
  });

  test("without a reader it never blocks, and keeps no more than the ring", async () => {
    const log = new EventLog(10_000);
    const total = 5_000_000;
    for (let from = 0; from < total; from += 1_000) {
      write(log, outputAt(0, 1_000));
      expect(log.writable).toBe(true);
    }
    log.append(RESULT);
    const [gap, ...rest] = await all(log.read());
    const kept = rest.reduce(
      (sum, { event }) => sum + ((event as { text?: string }).text?.length ?? 0),
      0,
    );
    expect(kept).toBeLessThanOrEqual(10_000);
    expect(kept + (gap as LogEntry & { event: { droppedBytes: number } }).event.droppedBytes).toBe(
      total,
    );
  });

  test("evicted entries are not held in memory", async () => {
    const log = new EventLog(1024 * 1024);
    const before = await heldBytes();
    for (let count = 0; count < 1_000; count++) write(log, `${count}`.padEnd(65_536, "x"));
    expect((await heldBytes()) - before).toBeLessThan(16 * 1024 * 1024);
    expect(log.terminal).toBeUndefined();
  });

  test("closing a reader that waits ends its loop", async () => {
    const log = new EventLog();
    const reader = log.read();
    const reading = all(reader);
    await nextTurn();
    reader.close();
    expect(await reading).toEqual([]);
  });
});

describe("a lossless reader that is cut", () => {
  /** A log whose only lossless reader was sent two of three entries. */
  async function cutLog() {
    const log = new EventLog(100);
    const reader = log.read({ lossless: true });
    const entries = iterate(reader);
    write(log, outputAt(0, 60));
    await next(entries);
    write(log, outputAt(60, 60));
    await next(entries);
    write(log, outputAt(120, 60));
    return { log, reader };
  }

  test.each(["after the cut", "before the cut is noticed"])(
    "hands its position to a reader that resumes behind its last entry, %s",
    async (when) => {
      const { log, reader } = await cutLog();
      if (when === "after the cut") reader.cut();
      const heir = iterate(log.read({ after: 1 }));
      reader.cut();
      write(log, outputAt(180, 60));
      expect(log.writable).toBe(false);
      const texts = [];
      for (let count = 0; count < 3; count++)
        texts.push(((await next(heir)).event as { text: string }).text);
      expect(texts.join("")).toBe(outputAt(60, 180));
      expect(log.writable).toBe(true);
    },
  );

  test.each([
    ["a reader from the beginning", {}],
    ["a reader that is further on", { after: 3 }],
  ])("keeps its position from %s", async (_, options) => {
    const { log, reader } = await cutLog();
    const other = log.read(options);
    reader.cut();
    expect(other.lossless).toBe(false);
    const own = log.read({ after: 1 });
    expect(own.lossless).toBe(true);
    other.close();
    own.close();
  });
});

test.each([
  ["events", sendEvents],
  ["raw bytes", sendStdout],
] as const)("a request for the head of an answer of %s takes no position", async (_, answer) => {
  const log = new EventLog();
  const reader = log.read({ lossless: true });
  write(log, "one");
  await next(iterate(reader));
  reader.cut();
  await answer(
    { req: { method: "HEAD", header: () => undefined }, env: {} } as unknown as NodeContext,
    log.read({ after: 1 }),
  );
  const heir = log.read({ after: 1 });
  expect(heir.lossless).toBe(true);
  heir.close();
});

describe("a reader of stdout from a byte on", () => {
  test(
    "gets the entry that holds it and all that follow, or an error for a byte out of " + "reach",
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              type: fc.constantFrom("stdout" as const, "stderr" as const),
              length: fc.integer({ min: 1, max: 60 }),
            }),
            { maxLength: 40 },
          ),
          fc.nat(1_200),
          fc.integer({ min: 1, max: 2_000 }),
          async (chunks, byte, limit) => {
            const log = new EventLog(limit);
            let stdout = "";
            for (const { type, length } of chunks) {
              const text = outputAt(type === "stdout" ? stdout.length : 0, length);
              if (type === "stdout") stdout += text;
              log.write(type, Buffer.from(text), "text");
            }
            log.append(RESULT);
            const kept = (await all(log.read())).filter(({ type }) => type === "stdout");
            const oldest = kept[0]?.stdoutFrom ?? stdout.length;
            if (byte > stdout.length) {
              expect(() => log.read({ stdoutFrom: byte })).toThrow(
                expect.objectContaining({ code: "invalid_request" }),
              );
            } else if (byte < oldest) {
              expect(() => log.read({ stdoutFrom: byte })).toThrow(
                expect.objectContaining({ code: "events_expired" }),
              );
            } else {
              const entries = await all(log.read({ stdoutFrom: byte }));
              const got = entries.map(({ type, bytes, stdoutFrom }) =>
                type === "stdout" ? bytes?.subarray(Math.max(0, byte - stdoutFrom)).toString() : "",
              );
              expect(got.join("")).toBe(stdout.slice(byte));
              expect(entries.at(-1)?.type).toBe("result");
              expect(entries.map(({ type }) => type)).not.toContain("gap");
            }
          },
        ),
        { numRuns: 500 },
      ),
  );

  test("that lost its end on the way finds it again, though its log was at its end", async () => {
    const log = new EventLog(100);
    const reading = all(log.read({ lossless: true }));
    for (let from = 0; from < 500; from += 50) {
      await log.untilWritable();
      write(log, outputAt(from, 50));
    }
    log.append(RESULT);
    const whole = await reading;
    expect(whole).toHaveLength(11);
    expect(await all(log.read({ stdoutFrom: 100, whole: true }))).toEqual(whole.slice(2));
  });

  test("that needs the whole is refused where it would begin with a gap", () => {
    const log = new EventLog(10);
    for (let from = 0; from < 50; from += 5) write(log, outputAt(from, 5));
    for (const options of [{}, { after: 3 }]) {
      expect(() => log.read({ ...options, whole: true })).toThrow(
        expect.objectContaining({ code: "events_expired" }),
      );
    }
    expect(log.read({ after: 8, whole: true }).cursor).toBe(8);
  });
});

test("a caller that is cut anywhere and resumes reads every byte once", () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 60 }),
      fc.array(
        fc.record({
          reads: fc.integer({ min: 1, max: 8 }),
          lost: fc.nat(7),
          noticed: fc.constantFrom("before", "after"),
          rests: fc.nat(2),
        }),
        {
          maxLength: 12,
        },
      ),
      async (limit, chunks, cuts) => {
        const log = new EventLog(limit);
        const came: LogEntry[] = [];
        const reading = (async () => {
          let reader = log.read({ lossless: true });
          for (const { reads, lost, noticed, rests } of cuts) {
            const entries = iterate(reader);
            for (let read = 0; read < reads; read++) {
              const { value, done } = await entries.next();
              if (done) return;
              came.push(value);
              for (let rest = rests; rest > 0; rest--) await nextTurn();
            }
            // The cut loses entries on their way.
            came.length = Math.max(0, came.length - lost);
            const resume = () => log.read({ after: came.at(-1)?.id ?? 0 });
            if (noticed === "before") reader.cut();
            const heir = resume();
            if (noticed === "after") reader.cut();
            reader = heir;
          }
          for await (const entry of reader) came.push(entry);
        })();
        let written = 0;
        for (const length of chunks) {
          await within("the log to be writable", log.untilWritable());
          write(log, outputAt(written, length));
          written += length;
        }
        await within("the log to be writable", log.untilWritable());
        log.append(RESULT);
        await within("the reader", reading);
        expect(came.map(({ id }) => id)).toEqual(came.map((_, index) => index + 1));
        expect(came.map(({ bytes }) => bytes?.toString() ?? "").join("")).toBe(
          outputAt(0, written),
        );
      },
    ),
    { numRuns: 200 },
  ));

interface Habits {
  readonly lossless: boolean;
  /** Chunks that are written before the reader comes. */
  readonly comesAt: number;
  /** Turns of the event loop that it rests after each entry, over and over. */
  readonly rests: readonly number[];
  /** Entries after which it leaves and resumes; 0 for never. */
  readonly leavesAfter: number;
}

/** Reads to the end. Checks each byte's offset. Resolves with the bytes received and dropped. */
async function readBy(
  log: EventLog,
  { lossless, rests, leavesAfter, comesAt }: Habits,
): Promise<number> {
  let offset = 0;
  let after = 0;
  let step = 0;
  let isAtEnd = false;
  while (!isAtEnd) {
    let entries = 0;
    for await (const { id, type, event: read } of log.read({ after, lossless })) {
      expect(id).toBeGreaterThan(after);
      after = id;
      const event = read as { text?: string; droppedBytes?: number };
      if (type === "stdout") {
        expect(event.text).toBe(outputAt(offset, event.text?.length ?? 0));
        offset += event.text?.length ?? 0;
      } else if (type === "gap") {
        expect(event.droppedBytes).toBeGreaterThan(0);
        if (lossless && comesAt === 0 && leavesAfter === 0)
          throw new Error("a lossless reader lost bytes");
        offset += event.droppedBytes ?? 0;
      } else isAtEnd = true;
      for (let rest = rests[step++ % rests.length] as number; rest > 0; rest--) await nextTurn();
      if (++entries === leavesAfter) break;
    }
    if (log.terminal && leavesAfter === 0) break;
  }
  return offset;
}

test("any sizes, speeds and resume points: received + dropped = written, in order", () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 60 }),
      fc.array(fc.nat(2), { minLength: 1, maxLength: 8 }),
      fc.array(
        fc.record({
          lossless: fc.boolean(),
          comesAt: fc.nat(30),
          rests: fc.array(fc.nat(4), { minLength: 1, maxLength: 6 }),
          leavesAfter: fc.nat(4),
        }),
        { maxLength: 4 },
      ),
      async (limit, chunks, pauses, habits) => {
        const log = new EventLog(limit);
        const readers: Promise<number>[] = [];
        const come = (index: number) =>
          readers.push(
            ...habits
              .filter(({ comesAt }) => Math.min(comesAt, chunks.length) === index)
              .map((each) => readBy(log, each)),
          );
        come(0);
        let written = 0;
        for (const [index, length] of chunks.entries()) {
          write(log, outputAt(written, length));
          written += length;
          await within("the log to be writable", log.untilWritable());
          for (let pause = pauses[index % pauses.length] as number; pause > 0; pause--)
            await nextTurn();
          come(index + 1);
        }
        log.append(RESULT);
        for (const total of await within("the readers", Promise.all(readers)))
          expect(total).toBe(written);
      },
    ),
    { numRuns: 150 },
  ));
