/** The pool of waiting processes, with fake processes and a fake clock. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StartQueue } from "../../server/runtimes/functions/start-queue.ts";
import {
  hasSpareMemory,
  WarmPool,
  type WarmPoolOptions,
} from "../../server/runtimes/functions/warm-pool.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A fake process. */
function fake(name: number) {
  let end = () => {};
  const exited = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { name, process: { exited, kill: vi.fn(() => end()) }, end };
}
type Fake = ReturnType<typeof fake>;

function opened(options: Partial<WarmPoolOptions<Fake>> = {}) {
  const started: Fake[] = [];
  const troubles: string[] = [];
  const warm = new WarmPool<Fake>({
    size: 2,
    start: async () => {
      const one = fake(started.length);
      started.push(one);
      return one;
    },
    startQueue: new StartQueue(),
    hasMemory: () => true,
    onTrouble: (message) => troubles.push(message),
    ...options,
  });
  return { warm, started, troubles };
}

/** Runs the timers that are due. */
const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

test("the pool fills; each process is taken once, in order, and replaced", async () => {
  const { warm, started } = opened();
  await settle();
  expect(warm.idle).toBe(2);
  expect([warm.take()?.name, warm.take()?.name, warm.take()]).toEqual([0, 1, undefined]);
  // The pool does not refill at the moment of the call.
  await settle();
  expect(started.length).toBe(2);
  await settle(10);
  expect([warm.idle, started.length]).toEqual([2, 4]);
  expect(warm.take()?.name).toBe(2);
});

test("a pool of size 0 starts none", async () => {
  const { warm, started } = opened({ size: 0 });
  await settle(1_000);
  expect([warm.take(), started.length]).toEqual([undefined, 0]);
});

test("a process that ends while it waits is replaced, and not handed out", async () => {
  const { warm, started } = opened();
  await settle(20_000);
  started[0]?.end();
  await settle();
  expect(warm.idle).toBe(2);
  expect([warm.take()?.name, warm.take()?.name]).toEqual([1, 2]);
});

test("the pool backs off from processes that end at once, and reports that once", async () => {
  const starts: number[] = [];
  const { troubles } = opened({
    size: 1,
    start: async () => {
      starts.push(Date.now());
      const one = fake(0);
      one.end();
      return one;
    },
  });
  await settle(120_000);
  const pauses = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
  expect(pauses.slice(0, 10)).toEqual([
    100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000,
  ]);
  expect(troubles).toEqual(["it ended while it waited"]);
});

test("a start that fails is retried, and its error is reported", async () => {
  let failures = 2;
  const { warm, troubles } = opened({
    size: 1,
    start: async () => {
      if (failures-- > 0) throw new Error("no such program");
      return fake(0);
    },
  });
  await settle(99);
  expect([warm.idle, failures]).toEqual([0, 1]);
  await settle(1 + 200);
  expect([warm.idle, troubles]).toEqual([1, ["no such program"]]);
});

test("after a process that worked, the pause begins at its shortest again", async () => {
  const { warm, started } = opened({ size: 1 });
  await settle();
  started[0]?.end();
  await settle(100);
  started[1]?.end();
  await settle(199);
  expect(warm.idle).toBe(0);
  await settle(1);
  expect(warm.take()?.name).toBe(2);
  await settle(10);
  started[3]?.end();
  await settle(100);
  expect(warm.idle).toBe(1);
});

test("processes that have waited too long are replaced one by one, without a pause", async () => {
  const { warm, started, troubles } = opened({ delayMs: 1_000 });
  await settle(999);
  expect(started.length).toBe(0);
  await settle(1);
  expect(warm.idle).toBe(2);
  warm.giveUp(1);
  expect(warm.idle).toBe(2);
  await settle(1);
  warm.giveUp(1);
  expect(warm.idle).toBe(1);
  expect(started[0]?.process.kill).toHaveBeenCalledOnce();
  await settle();
  expect([warm.idle, started.length, troubles]).toEqual([2, 3, []]);
  warm.giveUp(0);
  expect(warm.idle).toBe(0);
  await settle();
  expect([warm.idle, started.length, troubles]).toEqual([2, 5, []]);
});

test("no process is started while memory is short", async () => {
  let memory = false;
  const { warm, started } = opened({ hasMemory: () => memory });
  await settle(10_000);
  expect(started.length).toBe(0);
  memory = true;
  await settle(1_000);
  expect(warm.idle).toBe(2);
});

test("spare processes start one a core, two at most", async () => {
  const begun = async (cores: number) => {
    let starting = 0;
    const start = () => {
      starting += 1;
      return new Promise<Fake>(() => {});
    };
    opened({ startQueue: new StartQueue(cores), start, size: 4 });
    await settle();
    return starting;
  };
  expect([await begun(1), await begun(2), await begun(8)]).toEqual([1, 2, 2]);
});

test("spare processes wait for each other, and for admitted children that start", async () => {
  const startQueue = new StartQueue(1);
  const starting: (() => void)[] = [];
  const start = () =>
    new Promise<Fake>((resolve) => starting.push(() => resolve(fake(starting.length))));
  const pools = [opened({ startQueue, start }), opened({ startQueue, start })];
  await settle();
  expect(starting.length).toBe(1);
  let admitted = () => {};
  const urgent = startQueue.urgent(() => new Promise<void>((resolve) => (admitted = resolve)));
  starting[0]?.();
  await settle();
  expect(starting.length).toBe(1);
  admitted();
  await urgent;
  for (let n = 1; n < 4; n++) {
    await settle();
    expect(starting.length).toBe(n + 1);
    starting[n]?.();
  }
  await settle();
  expect(pools.map(({ warm }) => warm.idle)).toEqual([2, 2]);
});

describe("after close", () => {
  test("the waiting processes have ended, and none is started", async () => {
    const { warm, started } = opened();
    await settle();
    await warm.close();
    expect(started.map(({ process }) => process.kill.mock.calls.length)).toEqual([1, 1]);
    await settle(60_000);
    expect([warm.take(), warm.idle, started.length]).toEqual([undefined, 0, 2]);
  });

  test("a process that was starting ends too, and one in the queue does not start", async () => {
    const startQueue = new StartQueue(1);
    let come: (one: Fake) => void = () => {};
    const first = opened({
      startQueue,
      start: () => new Promise<Fake>((resolve) => (come = resolve)),
    });
    const second = opened({ startQueue });
    await settle();
    const closed = Promise.all([first.warm.close(), second.warm.close()]);
    const late = fake(0);
    come(late);
    await closed;
    expect([late.process.kill.mock.calls.length, second.started.length]).toEqual([1, 0]);
  });

  test("a pause ends", async () => {
    const { warm } = opened({ start: async () => Promise.reject(new Error("no")) });
    await settle();
    await warm.close();
  });
});

test.each([
  [600, 1_000, true],
  [500, 1_000, false],
  [2_000, 32_000, false],
  [4_000, 32_000, true],
])("with %i of %i MiB free there is spare memory: %s", (available, total, spare) => {
  expect(hasSpareMemory(available * 1024 * 1024, total * 1024 * 1024)).toBe(spare);
});
