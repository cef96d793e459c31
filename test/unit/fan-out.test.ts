/** Many inputs through one function: order, bounds, and an end that leaves nothing behind. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PoolError } from "../../openapi/errors.ts";
import { type FanOutOptions, fanOut } from "../../sdk/typescript/calls/fan-out.ts";
import { within } from "../helpers/wait.ts";

const WAIT_MS = 5_000;
type Work = (input: number, signal: AbortSignal) => Promise<number>;

/** Inputs that count how far they were read, and whether they were closed. */
class Source {
  read = 0;
  open = false;
  readonly #length: number;

  constructor(length: number) {
    this.#length = length;
  }

  *now(): Generator<number> {
    this.open = true;
    try {
      while (this.read < this.#length) yield this.read++;
    } finally {
      this.open = false;
    }
  }

  async *later(): AsyncGenerator<number> {
    yield* this.now();
  }
}

/** Calls that end after some turns of the event loop, or when they are aborted. */
class Calls {
  readonly inputs: number[] = [];
  running = 0;
  most = 0;
  readonly #turns: (input: number) => number;

  constructor(turns: (input: number) => number = () => 1) {
    this.#turns = turns;
  }

  readonly call: Work = async (input, signal) => {
    this.inputs.push(input);
    this.running += 1;
    this.most = Math.max(this.most, this.running);
    try {
      for (let turn = this.#turns(input); turn > 0; turn--) {
        await new Promise((resolve) => setImmediate(resolve));
        signal.throwIfAborted();
      }
      return input * 2;
    } finally {
      this.running -= 1;
    }
  };
}

/** A call that ends only when it is aborted. */
const never: Work = (_, signal) =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

const run = (work: Work, options: Partial<FanOutOptions<number>> & { inputs: Iterable<number> }) =>
  fanOut(work, { limit: () => 4, ordered: true, ...options });

async function all(results: AsyncIterable<{ index: number; value: number }>) {
  const read: { index: number; value: number }[] = [];
  const reading = (async () => {
    for await (const result of results) read.push(result);
  })();
  await within("the results", WAIT_MS, reading);
  return read;
}

describe("results", () => {
  const cases = fc.record({
    length: fc.integer({ min: 0, max: 60 }),
    max: fc.integer({ min: 1, max: 8 }),
    ordered: fc.boolean(),
    isLater: fc.boolean(),
    turns: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 7 }),
  });

  test("each input has one result, in order if asked, of a bounded number of calls", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ length, max, ordered, isLater, turns }) => {
        const source = new Source(length);
        const calls = new Calls((input) => turns[input % turns.length] ?? 0);
        const inputs = isLater ? source.later() : source.now();
        const progress: number[] = [];
        const results = await all(
          fanOut(calls.call, {
            inputs,
            limit: () => max,
            ordered,
            onFinish: (done) => progress.push(done),
          }),
        );
        const expected = Array.from({ length }, (_, index) => ({ index, value: index * 2 }));
        const read = ordered ? results : results.toSorted((a, b) => a.index - b.index);
        expect(read).toEqual(expected);
        expect(calls.inputs).toEqual(expected.map(({ index }) => index));
        expect(calls.most).toBeLessThanOrEqual(max);
        expect(progress).toEqual(expected.map(({ index }) => index + 1));
        expect(source.open).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  test("a reader that leaves ends the calls and closes the inputs", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          leaveAfter: fc.integer({ min: 1, max: 20 }),
          max: fc.integer({ min: 1, max: 8 }),
          ordered: fc.boolean(),
          isLater: fc.boolean(),
        }),
        async ({ leaveAfter, max, ordered, isLater }) => {
          const source = new Source(1_000);
          const calls = new Calls((input) => input % 3);
          const inputs = isLater ? source.later() : source.now();
          let read = 0;
          for await (const _ of fanOut(calls.call, { inputs, limit: () => max, ordered }))
            if (++read === leaveAfter) break;
          expect(calls.running).toBe(0);
          expect(source.open).toBe(false);
          // The reader has them all, or they were running, or they waited to be read.
          expect(source.read).toBeLessThanOrEqual(leaveAfter + 2 * max + 1);
          const { read: readThen } = source;
          await new Promise((resolve) => setImmediate(resolve));
          expect([source.read, calls.running]).toEqual([readThen, 0]);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("results that nobody reads hold back further calls", async () => {
    const source = new Source(1_000);
    const calls = new Calls(() => 0);
    const results = run(calls.call, { inputs: source.now(), limit: () => 3 });
    expect((await results.next()).value).toEqual({ index: 0, value: 0 });
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(calls.inputs.length).toBeLessThanOrEqual(1 + 2 * 3);
    await results.return();
  });

  test("a limit that grows lets more calls run", async () => {
    let max = 1;
    const calls = new Calls((input) => (input < 4 ? 1 : 5));
    const onFinish = (done: number) => {
      if (done === 4) max = 6;
    };
    await all(run(calls.call, { inputs: new Source(40).now(), limit: () => max, onFinish }));
    expect(calls.most).toBe(6);
  });
});

describe("a failure", () => {
  const lost = () => PoolError.of("member_lost", "gone");

  test("has the position of its input, and ends the other calls", async () => {
    const source = new Source(100);
    const calls = new Calls(() => 1_000);
    const work: Work = (input, signal) =>
      input === 2 ? Promise.reject(lost()) : calls.call(input, signal);
    const failure = await all(run(work, { inputs: source.now() })).catch((error) => error);
    expect(failure).toBeInstanceOf(PoolError);
    expect(failure).toMatchObject({ code: "member_lost", index: 2 });
    expect([calls.running, source.open]).toEqual([0, false]);
    expect(source.read).toBeLessThanOrEqual(5);
  });

  test("of a call that throws at once is a failure like any other", async () => {
    const work = () => {
      throw new TypeError("no foo");
    };
    await expect(all(run(work, { inputs: [1] }))).rejects.toMatchObject({
      name: "TypeError",
      index: 0,
    });
  });

  test("of the inputs comes as it was thrown, and the calls end", async () => {
    const calls = new Calls(() => 1_000);
    const failing = function* () {
      yield 1;
      throw new RangeError("no more");
    };
    const failure = await all(run(calls.call, { inputs: failing() })).catch((error) => error);
    expect(failure).toBeInstanceOf(RangeError);
    expect(failure).not.toHaveProperty("index");
    expect(calls.running).toBe(0);
  });

  test.each([
    { of: "the progress", options: { onFinish: throwing } },
    { of: "the limit", options: { limit: throwing } },
  ])("of $of ends it all", async ({ options }) => {
    const source = new Source(10);
    const calls = new Calls();
    const results = all(run(calls.call, { inputs: source.now(), ...options }));
    await expect(results).rejects.toThrow("no");
    expect([calls.running, source.open]).toEqual([0, false]);
  });

  test("that comes while the reader is busy waits for it, and is not unhandled", async () => {
    const work: Work = (input) => (input === 1 ? Promise.reject(lost()) : Promise.resolve(input));
    const results = run(work, { inputs: [0, 1, 2] });
    expect((await results.next()).value).toEqual({ index: 0, value: 0 });
    await new Promise((resolve) => setImmediate(resolve));
    await expect(results.next()).rejects.toMatchObject({ code: "member_lost", index: 1 });
    expect((await results.next()).done).toBe(true);
  });
});

function throwing(): never {
  throw new Error("no");
}

describe("the signal", () => {
  test("ends it with its own reason", async () => {
    const source = new Source(10);
    const abort = new AbortController();
    const reason = new Error("enough");
    const work: Work = (input, signal) => {
      if (input === 3) abort.abort(reason);
      return never(input, signal);
    };
    const results = all(run(work, { inputs: source.now(), signal: abort.signal }));
    await expect(results).rejects.toBe(reason);
    expect(reason).not.toHaveProperty("index");
    expect(source.open).toBe(false);
  });

  test("that has aborted lets nothing start", async () => {
    const source = new Source(10);
    const results = all(run(never, { inputs: source.now(), signal: AbortSignal.abort("enough") }));
    await expect(results).rejects.toBe("enough");
    expect(source.read).toBe(0);
  });
});

test("inputs that never come do not hold up a reader that leaves", async () => {
  const inputs: AsyncIterable<number> = {
    async *[Symbol.asyncIterator]() {
      yield 1;
      await new Promise(() => {});
    },
  };
  const calls = new Calls();
  const read = async () => {
    for await (const { value } of fanOut(calls.call, { inputs, limit: () => 4, ordered: true }))
      return value;
    return undefined;
  };
  expect(await within("the loop to end", WAIT_MS, read())).toBe(2);
});
