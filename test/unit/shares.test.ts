/** The shares of callers in the slots of pools, by their quotas. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { PoolError } from "../../openapi/errors.ts";
import { Shares } from "../../server/access/shares.ts";
import { type SlotLease, Slots } from "../../server/supervisor/slots/slots.ts";

/** Two pools of one member, whose clients may have so many slots in each and in both. */
function open(max: number, { inPool = 100, inAllPools = 100 }) {
  const shares = new Shares({
    limitsOf: (client) =>
      client === "boss" ? { inPool: undefined, inAllPools: undefined } : { inPool, inAllPools },
    onFree: () => {
      for (const slots of pools) slots.serve();
    },
  });
  const pools = ["p", "q"].map(
    (pool) => new Slots({ pool, member: "m", max, maxQueue: 100, shares }),
  ) as [Slots, Slots];
  return pools;
}

function problemIn(run: () => unknown): PoolError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error as PoolError;
  }
}

test("a caller gets no more than its share of a pool, and others get the rest", () => {
  const [p, q] = open(3, { inPool: 2 });
  const leases = [p.take("greedy"), p.take("greedy")];
  const refusal = problemIn(() => p.take("greedy"));
  expect(refusal?.code).toBe("too_many_requests");
  expect(refusal?.message).toBe("member m: greedy has 2 slots in pool p; its quota maxSlots is 2");
  expect(problemIn(() => p.request("greedy", 0))?.code).toBe("too_many_requests");
  p.take("modest");
  q.take("greedy");
  expect(problemIn(() => p.take("modest"))?.code).toBe("at_capacity");
  leases[0]?.free();
  p.take("greedy");
});

test("a slot that is granted counts, and its claim counts once", async () => {
  const [p] = open(3, { inPool: 1 });
  const { id } = await p.request("greedy", 0).granted;
  expect(problemIn(() => p.take("greedy"))?.code).toBe("too_many_requests");
  const lease = p.claim(id, "greedy");
  expect(problemIn(() => p.take("greedy"))?.code).toBe("too_many_requests");
  lease.free();
  const again = await p.request("greedy", 0).granted;
  p.release(again.id, "greedy");
  p.take("greedy").free();
});

test("a caller over its quota waits for its own slots, and lets others pass", async () => {
  const [p, q] = open(2, { inAllPools: 2 });
  const [first] = [p.take("greedy"), p.take("greedy")];
  const waiting = q.request("greedy", 60_000);
  const modest = await q.request("modest", 60_000).granted;
  expect(modest.pool).toBe("q");
  expect(q.load()).toEqual({ active: 1, max: 2, queued: 1 });
  first?.free();
  expect((await waiting.granted).pool).toBe("q");
  for (const slots of [p, q]) slots.drain();
});

test("whatever callers do, none is over its share and no count is left behind", () => {
  const step = fc.record({
    client: fc.constantFrom("a", "b", "boss"),
    pool: fc.constantFrom(0, 1),
    act: fc.constantFrom("take", "wait", "leave", "free"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pools = open(3, { inPool: 2, inAllPools: 3 });
      const leases: { client: string; pool: number; lease: SlotLease }[] = [];
      const waits: (() => void)[] = [];
      for (const { client, pool, act } of steps) {
        const slots = pools[pool] as Slots;
        if (act === "free") leases.shift()?.lease.free();
        else if (act === "leave") waits.shift()?.();
        else if (act === "wait") {
          const waiter = slots.request(client, 60_000);
          waits.push(() => waiter.leave());
        } else {
          const refusal = problemIn(() => leases.push({ client, pool, lease: slots.take(client) }));
          if (refusal) expect(["too_many_requests", "at_capacity"]).toContain(refusal.code);
        }
        for (const name of ["a", "b"]) {
          const own = leases.filter((each) => each.client === name);
          expect(own.length).toBeLessThanOrEqual(3);
          expect(own.filter((each) => each.pool === pool).length).toBeLessThanOrEqual(2);
        }
      }
      for (const leave of waits) leave();
      for (const { lease } of leases) lease.free();
      for (const slots of pools) expect(slots.load()).toEqual({ active: 0, max: 3, queued: 0 });
      const [p, q] = pools;
      for (const slots of [p, p, q]) slots.take("a");
    }),
  );
});
