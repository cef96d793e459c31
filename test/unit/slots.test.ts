/** The slots of a pool on one member, with a fake clock. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PoolError } from "../../openapi/errors.ts";
import { HOLD_MS, type SlotLease, Slots } from "../../server/supervisor/slots/slots.ts";
import type { Waiter } from "../../server/supervisor/slots/waiter.ts";

const slotsOf = (max: number, maxQueue = 100) =>
  new Slots({ pool: "p", member: "m", max, maxQueue });

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as PoolError).code;
  }
};
const endOf = (waiter: Waiter) =>
  waiter.granted.then(
    ({ id }) => id,
    (error: PoolError) => error.code,
  );

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a free slot", () => {
  test("is taken at once, and is free again after one call of free, and after two", () => {
    const slots = slotsOf(1);
    const lease = slots.take("x");
    expect(codeOf(() => slots.take("x"))).toBe("at_capacity");
    lease.free();
    lease.free();
    expect(slots.load()).toEqual({ active: 0, max: 1, queued: 0 });
    slots.take("x");
    expect(codeOf(() => slots.take("x"))).toBe("at_capacity");
  });

  test("is granted at once to a client that asks, even where no client may wait", async () => {
    const slots = slotsOf(1, 0);
    const { granted } = slots.request("a", 0);
    expect(await granted).toMatchObject({
      pool: "p",
      member: "m",
      heldUntil: new Date(Date.now() + HOLD_MS).toISOString(),
    });
    expect(slots.load()).toEqual({ active: 1, max: 1, queued: 0 });
    expect(codeOf(() => slots.request("a", 1_000))).toBe("at_capacity");
  });

  test("goes to waiting clients before new ones", async () => {
    const slots = slotsOf(1);
    const lease = slots.take("x");
    const waiter = slots.request("a", 1_000);
    lease.free();
    expect(codeOf(() => slots.take("x"))).toBe("at_capacity");
    slots.claim(await endOf(waiter), "a").free();
    slots.take("x");
  });
});

describe("a wait", () => {
  test("ends with queue_timeout, and leaves the queue", async () => {
    const slots = slotsOf(1);
    slots.take("x");
    const outcome = endOf(slots.request("a", 1_000));
    expect(slots.load().queued).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await outcome).toBe("queue_timeout");
    expect(slots.load()).toEqual({ active: 1, max: 1, queued: 0 });
  });

  test("is refused where the queue is full", () => {
    const slots = slotsOf(1, 2);
    slots.take("x");
    slots.request("a", 1_000);
    slots.request("a", 1_000);
    expect(codeOf(() => slots.request("a", 1_000))).toBe("at_capacity");
  });

  test("takes a place in a full queue from the client that has the most", async () => {
    const slots = slotsOf(1, 2);
    slots.take("x");
    const [first, last] = [slots.request("a", 1_000), slots.request("a", 1_000)];
    const other = slots.request("b", 1_000);
    expect(await endOf(last)).toBe("at_capacity");
    expect(codeOf(() => slots.request("b", 1_000))).toBe("at_capacity");
    expect(codeOf(() => slots.request("c", 1_000))).toBe("at_capacity");
    expect(slots.load().queued).toBe(2);
    for (const waiter of [first, other]) waiter.leave();
  });

  test("reports its position at first, and soon after each change", async () => {
    const slots = slotsOf(1);
    const lease = slots.take("x");
    const heard: [string, number][] = [];
    const [first, second, third] = ["first", "second", "third"].map((name) => {
      const waiter = slots.request("a", 60_000);
      waiter.onPosition((position) => heard.push([name, position]));
      return waiter;
    });
    expect(heard).toEqual([
      ["first", 1],
      ["second", 2],
      ["third", 3],
    ]);
    heard.length = 0;
    second?.leave();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(heard).toEqual([["third", 2]]);
    heard.length = 0;
    lease.free();
    await first?.granted;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(heard).toEqual([["third", 1]]);
    third?.leave();
  });

  test("leaves nothing behind when its client leaves, before the grant or after it", async () => {
    const slots = slotsOf(1);
    const lease = slots.take("x");
    const [leaves, stays] = [slots.request("a", 1_000), slots.request("b", 1_000)];
    leaves.leave();
    expect(await endOf(leaves)).toBe("cancelled");
    lease.free();
    await stays.granted;
    stays.leave();
    await stays.settled;
    expect(slots.load()).toEqual({ active: 0, max: 1, queued: 0 });
  });

  test("ends with draining when the member drains, and so does every claim", async () => {
    const slots = slotsOf(2);
    slots.take("x");
    const granted = await endOf(slots.request("a", 1_000));
    const outcome = endOf(slots.request("a", 1_000));
    slots.drain();
    expect(await outcome).toBe("draining");
    expect(codeOf(() => slots.claim(granted, "a"))).toBe("draining");
    expect(codeOf(() => slots.take("x"))).toBe("draining");
    expect(codeOf(() => slots.request("a", 1_000))).toBe("draining");
    expect(slots.load()).toEqual({ active: 1, max: 0, queued: 0 });
  });
});

test("all that wait may be refused, while the pool stays open", async () => {
  const slots = slotsOf(2);
  slots.take("x");
  const granted = await endOf(slots.request("a", 1_000));
  const outcome = endOf(slots.request("a", 1_000));
  const subscription = slots.subscribe("b", 5, 1_000);
  slots.refuseAll(PoolError.of("fenced", "away"));
  expect(await outcome).toBe("fenced");
  await subscription.settled;
  expect(codeOf(() => slots.resubscribe(subscription.id, "b", 5))).toBe("slot_not_found");
  expect(codeOf(() => slots.claim(granted, "a"))).toBe("slot_not_found");
  expect(slots.load()).toEqual({ active: 1, max: 2, queued: 0 });
  const positions: number[] = [];
  slots.take("x");
  const [first, second] = [slots.request("a", 10_000), slots.request("a", 10_000)];
  second.onPosition((position) => positions.push(position));
  first.leave();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(positions).toEqual([2, 1]);
});

describe("a granted slot", () => {
  test("is claimed once, by its client", async () => {
    const slots = slotsOf(1);
    const waiter = slots.request("a", 0);
    const id = await endOf(waiter);
    expect(codeOf(() => slots.claim(id, "b"))).toBe("forbidden");
    expect(codeOf(() => slots.release(id, "b"))).toBe("forbidden");
    const lease = slots.claim(id, "a");
    await waiter.settled;
    expect(codeOf(() => slots.claim(id, "a"))).toBe("slot_not_found");
    expect(codeOf(() => slots.release(id, "a"))).toBe("slot_not_found");
    // A claimed slot is the child's: its waiter cannot give it back.
    waiter.leave();
    expect(slots.load().active).toBe(1);
    lease.free();
    expect(slots.load().active).toBe(0);
  });

  test("returns by itself, and cannot be claimed then", async () => {
    const slots = slotsOf(1);
    const id = await endOf(slots.request("a", 0));
    const next = endOf(slots.request("b", 60_000));
    await vi.advanceTimersByTimeAsync(HOLD_MS);
    expect(codeOf(() => slots.claim(id, "a"))).toBe("slot_not_found");
    slots.claim(await next, "b");
  });

  test("that is released goes to the next one", async () => {
    const slots = slotsOf(1);
    const id = await endOf(slots.request("a", 0));
    const next = endOf(slots.request("b", 1_000));
    slots.release(id, "a");
    slots.claim(await next, "b").free();
  });

  test("knows when its client asked for it", async () => {
    const slots = slotsOf(1);
    const lease = slots.take("x");
    const since = performance.now();
    const waiter = endOf(slots.request("a", 60_000));
    await vi.advanceTimersByTimeAsync(5_000);
    lease.free();
    expect(slots.claim(await waiter, "a").requestedAt).toBe(since);
  });
});

test("more room serves waiting clients; less room ends no child", async () => {
  const slots = slotsOf(1);
  slots.take("x");
  const [one, two] = [endOf(slots.request("a", 1_000)), slots.request("b", 1_000)];
  slots.resize(2);
  const lease = slots.claim(await one, "a");
  slots.resize(1);
  expect(slots.load()).toEqual({ active: 2, max: 1, queued: 1 });
  lease.free();
  expect(slots.load()).toEqual({ active: 1, max: 1, queued: 1 });
  two.leave();
});

/** Callers and children act in any order and at any moment. */
const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("request" as const),
        client: fc.constantFrom("a", "b", "c"),
        waitMs: fc.constantFrom(0, 50, 10_000),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("take" as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("claim" as const), index: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("leave" as const), index: fc.nat(20) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("release" as const), index: fc.nat(20) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("free" as const), index: fc.nat(20) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("time" as const),
        ms: fc.constantFrom(1, 60, HOLD_MS),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("resize" as const),
        max: fc.integer({ min: 1, max: 4 }),
      }),
    },
  ),
  { maxLength: 80 },
);

test("any history: never too many, no waiting beside a free slot, and no leaks", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const slots = slotsOf(2, 6);
      let max = 2;
      const waiters: { waiter: Waiter; client: string }[] = [];
      const granted: { id: string; client: string }[] = [];
      const leases: SlotLease[] = [];
      for (const step of history) {
        const before = slots.load().active;
        if (step.kind === "request") {
          try {
            const waiter = slots.request(step.client, step.waitMs);
            waiters.push({ waiter, client: step.client });
            waiter.granted.then(
              ({ id }) => granted.push({ id, client: step.client }),
              () => {},
            );
          } catch (error) {
            expect((error as PoolError).code).toBe("at_capacity");
          }
        } else if (step.kind === "take") {
          if (codeOf(() => leases.push(slots.take("x"))) === undefined)
            expect(before).toBeLessThan(max);
        } else if (step.kind === "claim") {
          const [slot] = granted.splice(step.index, 1);
          if (slot && slots.holds(slot.id)) leases.push(slots.claim(slot.id, slot.client));
          else if (slot)
            expect(codeOf(() => slots.claim(slot.id, slot.client))).toBe("slot_not_found");
        } else if (step.kind === "leave") waiters[step.index]?.waiter.leave();
        else if (step.kind === "release") {
          const slot = granted[step.index];
          if (slot && slots.holds(slot.id)) slots.release(slot.id, slot.client);
        } else if (step.kind === "free") leases[step.index]?.free();
        else if (step.kind === "time") await vi.advanceTimersByTimeAsync(step.ms);
        else {
          max = step.max;
          slots.resize(max);
        }
        await vi.advanceTimersByTimeAsync(0);
        const { active, queued } = slots.load();
        // Less room ends no child, but no child comes in beyond it.
        if (step.kind !== "resize") expect(active).toBeLessThanOrEqual(Math.max(max, before));
        if (queued > 0) expect(active).toBeGreaterThanOrEqual(max);
        expect(queued).toBeLessThanOrEqual(6);
      }
      for (const lease of leases) lease.free();
      for (const { waiter } of waiters) waiter.leave();
      await vi.advanceTimersByTimeAsync(0);
      expect(slots.load()).toEqual({ active: 0, max, queued: 0 });
      await Promise.all(waiters.map(({ waiter }) => waiter.settled));
      // All timers of waits and grants are cleared.
      await vi.advanceTimersByTimeAsync(1_000);
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 3_000 },
  );
});
