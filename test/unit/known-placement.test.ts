/** Placement by known loads: how few requests it needs, and that it finds every free slot. */
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { Load } from "../../openapi/errors.ts";
import { KnownLoads } from "../../sdk/typescript/placement/choice/known-loads.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";
import { place } from "../../sdk/typescript/placement/place.ts";
import type { PlacementPorts } from "../../sdk/typescript/placement/search.ts";

const load = (active: number, max = 5): Load => ({ active, max, queued: 0 });

/** A pool of so many members with atomic admission, and a record of the requests to them. */
class StubPool {
  readonly members: Member[];
  readonly active = new Map<string, number>();
  /** Members whose answers never come. */
  readonly hanging = new Set<string>();
  readonly #max: number;
  probes = 0;
  admissions = 0;
  now = 0;

  constructor(count: number, max = 5) {
    this.#max = max;
    this.members = Array.from({ length: count }, (_, index) => ({
      name: `m${index}`,
      url: `http://127.0.0.1:${index}`,
      pools: { pipeline: max },
      sandbox: "none",
      version: "0",
    }));
  }

  fill(active: number): this {
    for (const { name } of this.members) this.active.set(name, active);
    return this;
  }

  loadOf({ name }: Pick<Member, "name">): Load {
    return load(this.active.get(name) ?? 0, this.#max);
  }

  /** @param turn what each request waits for on its way. Default: nothing. */
  place(
    known: KnownLoads,
    { turn = async () => {}, ...ports }: Partial<PlacementPorts<string>> & { turn?: Turn } = {},
  ): Promise<string> {
    return place<string>("pipeline", this.members, {
      known,
      now: () => this.now,
      probe: async (member, signal) => {
        this.probes += 1;
        if (this.hanging.has(member.name)) await aborted(signal);
        await turn();
        const told = this.loadOf(member);
        await turn();
        return told;
      },
      admit: async (member) => {
        this.admissions += 1;
        if (this.hanging.has(member.name)) await new Promise(() => {});
        await turn();
        const told = this.loadOf(member);
        if (told.active >= told.max) return { full: true, load: told };
        this.active.set(member.name, told.active + 1);
        await turn();
        return { admitted: member.name, load: { ...told, active: told.active + 1 } };
      },
      ...ports,
    });
  }

  /** Ends a child, as the client `known` sees it. */
  end(name: string, known: KnownLoads): void {
    this.active.set(name, (this.active.get(name) ?? 0) - 1);
    known.ended(name, this.now);
  }
}

type Turn = () => Promise<void>;

const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
  );

describe("a caller that calls again and again", () => {
  test.each([2, 20, 21, 200, 1_000])("asks %i members once, and then none", async (count) => {
    const pool = new StubPool(count);
    const known = new KnownLoads();
    pool.end(await pool.place(known), known);
    const first = pool.probes;
    expect(first).toBe(count > 20 ? 5 : count);
    for (let calls = 0; calls < 100; calls++) {
      const name = await pool.place(known);
      // The end of a call shows that the member is there.
      pool.now += 4_000;
      pool.end(name, known);
    }
    expect(pool.probes).toBe(first);
    expect(pool.admissions).toBe(101);
  });

  test("asks two members after a pause, and all of them after a long one", async () => {
    const pool = new StubPool(10);
    const known = new KnownLoads();
    pool.end(await pool.place(known), known);
    pool.probes = 0;
    pool.now += 1_000;
    pool.end(await pool.place(known), known);
    expect(pool.probes).toBe(2);
    pool.now += 10_000;
    await pool.place(known);
    expect(pool.probes).toBe(12);
  });

  test("asks a sample where the members that it knows are busier than usual", async () => {
    const pool = new StubPool(200);
    const known = new KnownLoads();
    const placed = new Set<string>();
    for (let calls = 0; calls < 50; calls++) placed.add(await pool.place(known));
    // A call goes to one of the known where the sample is no better.
    expect(placed.size).toBeGreaterThan(25);
    expect(pool.probes).toBeLessThan(100);
  });
});

describe("members that are known", () => {
  test("are tried at most three times before others are asked", async () => {
    const pool = new StubPool(100).fill(5);
    const known = new KnownLoads();
    for (const { name } of pool.members) known.note(name, load(0), 0);
    pool.active.set("m77", 4);
    await expect(pool.place(known)).resolves.toBe("m77");
    expect(pool.admissions).toBeLessThanOrEqual(4);
    expect(pool.probes).toBeGreaterThanOrEqual(1);
  });

  test("tell no full pool: every member is asked before a call is refused", async () => {
    const pool = new StubPool(30).fill(5);
    const known = new KnownLoads();
    for (const { name } of pool.members) known.note(name, load(5), 0);
    await expect(pool.place(known, { effort: "once" })).rejects.toMatchObject({
      code: "all_members_at_capacity",
    });
    expect(pool.probes).toBe(30);
  });

  test("that are sick come last", async () => {
    const pool = new StubPool(2);
    const known = new KnownLoads();
    known.note("m0", load(0), 0);
    known.note("m1", load(4), 0);
    const mayTry = ({ name }: Member) => name !== "m0";
    await expect(pool.place(known, { mayTry })).resolves.toBe("m1");
    pool.active.set("m1", 5);
    known.note("m1", load(5), 0);
    await expect(pool.place(known, { mayTry })).resolves.toBe("m0");
  });

  test("that hang get no further call after 100 ms, and delay no other one", async () => {
    const pool = new StubPool(3);
    const known = new KnownLoads();
    for (const { name } of pool.members) known.note(name, load(name === "m0" ? 0 : 1), 0);
    pool.hanging.add("m0");
    void pool.place(known);
    pool.now += 101;
    const placed: string[] = [];
    for (let calls = 0; calls < 6; calls++) {
      // The two that answer are known again from here on.
      const name = await pool.place(known);
      placed.push(name);
      pool.end(name, known);
    }
    expect(placed).not.toContain("m0");
  });

  test("whose loads are old are asked first: one that hangs costs 10 ms", async () => {
    vi.useFakeTimers();
    try {
      const pool = new StubPool(2);
      const known = new KnownLoads();
      known.note("m0", load(0), 0);
      known.note("m1", load(1), 0);
      pool.hanging.add("m0");
      pool.now += 101;
      const placed = pool.place(known);
      await vi.advanceTimersByTimeAsync(10);
      await expect(placed).resolves.toBe("m1");
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("the member that places", () => {
  const ownOf = (pool: StubPool, index: number) => {
    const member = pool.members[index] as Member;
    return { own: { member, load: () => pool.loadOf(member) } };
  };

  test("takes the call itself while it is idle, and asks nobody", async () => {
    const pool = new StubPool(1_000);
    await expect(pool.place(new KnownLoads(), ownOf(pool, 7))).resolves.toBe("m7");
    expect(pool.probes).toBe(0);
  });

  test("leaves it to a less loaded one", async () => {
    const pool = new StubPool(2).fill(1);
    const known = new KnownLoads();
    known.note("m1", load(1), 0);
    await expect(pool.place(known, ownOf(pool, 0))).resolves.toBe("m0");
    await expect(pool.place(known, ownOf(pool, 0))).resolves.toBe("m1");
    expect(pool.probes).toBe(0);
  });

  test("asks others where it is busy and knows none", async () => {
    const pool = new StubPool(10);
    pool.active.set("m3", 2);
    expect(await pool.place(new KnownLoads(), ownOf(pool, 3))).not.toBe("m3");
    expect(pool.probes).toBe(10);
  });
});

describe("N callers and N free slots", () => {
  /** 50 clients, all told that every member is idle, call at once for the slots that are left. */
  async function callAll(
    { count, max, taken }: { count: number; max: number; taken: number },
    delays: readonly number[],
  ): Promise<void> {
    const pool = new StubPool(count, max).fill(Math.min(taken, max));
    pool.active.set("m0", 0);
    let next = 0;
    const turn = async () => {
      const turns = delays[next++ % delays.length] as number;
      for (let index = 0; index < turns; index++) await Promise.resolve();
    };
    const clients = Array.from({ length: 50 }, () => {
      const known = new KnownLoads();
      for (const { name } of pool.members) known.note(name, load(0, max), 0);
      return known;
    });
    const free = pool.members.reduce(
      (sum, { name }) => sum + max - (pool.active.get(name) ?? 0),
      0,
    );
    const admitted = await Promise.all(
      Array.from({ length: free }, (_, index) =>
        pool.place(clients[index % 50] as KnownLoads, { turn }),
      ),
    );
    expect(admitted).toHaveLength(free);
    for (const { name } of pool.members) expect(pool.active.get(name)).toBe(max);
  }

  test("all are admitted, though 50 clients know the same old loads", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          count: fc.integer({ min: 1, max: 60 }),
          max: fc.integer({ min: 1, max: 6 }),
          taken: fc.nat(6),
        }),
        fc.array(fc.nat(5), { minLength: 1, maxLength: 20 }),
        callAll,
      ),
      { numRuns: 40 },
    ));
});
