import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type Load, PoolError, problem } from "../../openapi/errors.ts";
import { Client } from "../../sdk/typescript/http/client.ts";
import { NodeTransport } from "../../sdk/typescript/node/transport.ts";
import { shuffled } from "../../sdk/typescript/placement/choice/samples.ts";
import { DirectAccess } from "../../sdk/typescript/placement/direct-access.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";
import { place } from "../../sdk/typescript/placement/place.ts";
import { type Admission, byLoad } from "../../sdk/typescript/placement/search.ts";

const member = (index: number, max = 5): Member => ({
  name: `m${index}`,
  url: `http://127.0.0.1:${7400 + index}`,
  pools: { pipeline: max },
  sandbox: "none",
  version: "0",
});
const load = (active: number, max = 5): Load => ({ active, max, queued: 0 });

/** A probe that never answers, like that of a machine that swaps. */
const silence = (signal: AbortSignal) =>
  new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
  );

/** Ports over loads by member name, with a record of the members that were tried. */
function ports(
  loads: Record<string, Load | "slow" | "gone">,
  admit: (name: string) => Admission<string> = (name) => ({ admitted: name }),
) {
  const tried: string[] = [];
  return {
    tried,
    probe: async ({ name }: Member, signal: AbortSignal) => {
      const answer = loads[name];
      if (answer === "slow") return silence(signal);
      if (answer === "gone" || answer === undefined) throw new Error("ECONNREFUSED");
      return answer;
    },
    admit: async ({ name }: Member) => {
      tried.push(name);
      return admit(name);
    },
  };
}

afterEach(() => {
  vi.useRealTimers();
});

describe("shuffled", () => {
  test("is a permutation for any random numbers", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer()),
        fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
        (items, numbers) => {
          const random = () => numbers.next().value as number;
          const drawn = [...shuffled(items, random)];
          expect(drawn.toSorted((a, b) => a - b)).toEqual(items.toSorted((a, b) => a - b));
        },
      ),
    );
  });

  test("leaves the list itself as it is", () => {
    const items = [1, 2, 3, 4];
    expect([...shuffled(items)]).toHaveLength(4);
    expect(items).toEqual([1, 2, 3, 4]);
  });

  test("can yield every order", () => {
    const orders = new Set<string>();
    for (const a of [0, 0.4, 0.8])
      for (const b of [0, 0.6]) orders.add([...shuffled([1, 2, 3], numbers(a, b, 0))].join(""));
    expect(orders.size).toBe(6);
  });
});

function numbers(...values: number[]): () => number {
  let index = 0;
  return () => values[index++ % values.length] as number;
}

describe("byLoad", () => {
  test("orders by active/max and leaves out full members", () => {
    const probed = [load(5, 5), load(3, 4), load(3, 12), load(0, 1)].map((each) => ({
      load: each,
    }));
    expect(byLoad(probed).map((each) => each.load)).toEqual([load(0, 1), load(3, 12), load(3, 4)]);
  });

  test("keeps the order of equals", () => {
    const probed = ["a", "b", "c"].map((name) => ({ name, load: load(1, 2) }));
    expect(byLoad(probed).map(({ name }) => name)).toEqual(["a", "b", "c"]);
  });
});

describe("place", () => {
  test("admits at the least loaded", async () => {
    const recorded = ports({ m0: load(4), m1: load(1), m2: load(3) });
    await expect(place("pipeline", [member(0), member(1), member(2)], recorded)).resolves.toBe(
      "m1",
    );
    expect(recorded.tried).toEqual(["m1"]);
  });

  test("passes over a member whose probe shows that it is full", async () => {
    const recorded = ports({ m0: load(5), m1: load(4) });
    await expect(place("pipeline", [member(0), member(1)], recorded)).resolves.toBe("m1");
    expect(recorded.tried).toEqual(["m1"]);
  });

  test("passes over a member that drains, or filled up since its probe", async () => {
    const recorded = ports({ m0: load(0), m1: load(4) }, (name) =>
      name === "m0" ? { full: true } : { admitted: name },
    );
    await expect(place("pipeline", [member(0), member(1)], recorded)).resolves.toBe("m1");
    expect(recorded.tried).toEqual(["m0", "m1"]);
  });

  test("passes over a member whose probe fails, and one that cannot be reached", async () => {
    const recorded = ports({ m0: "gone", m1: load(0), m2: load(4) }, (name) =>
      name === "m1" ? { unreachable: new Error("ECONNREFUSED") } : { admitted: name },
    );
    await expect(place("pipeline", [member(0), member(1), member(2)], recorded)).resolves.toBe(
      "m2",
    );
    expect(recorded.tried).toEqual(["m1", "m2"]);
  });

  test("does not wait for a slow member when another one admits", async () => {
    vi.useFakeTimers();
    const recorded = ports({ m0: "slow", m1: load(4) });
    const placed = place("pipeline", [member(0), member(1)], recorded);
    await vi.advanceTimersByTimeAsync(10);
    await expect(placed).resolves.toBe("m1");
  });

  test("waits for a slow member when the quick ones refuse", async () => {
    vi.useFakeTimers();
    const recorded = ports({ m1: load(4) }, (name) =>
      name === "m1" ? { full: true } : { admitted: name },
    );
    const placed = place("pipeline", [member(0), member(1)], {
      ...recorded,
      probe: async (each, signal) => {
        if (each.name === "m1") return recorded.probe(each, signal);
        await new Promise((resolve) => setTimeout(resolve, 200));
        return load(0);
      },
    });
    await vi.advanceTimersByTimeAsync(200);
    await expect(placed).resolves.toBe("m0");
    expect(recorded.tried).toEqual(["m1", "m0"]);
  });

  test("tries a sick member last, and only when the others are full", async () => {
    const mayTry = ({ name }: Member) => name !== "m0";
    const members = [member(0), member(1), member(2)];
    const loads = { m0: load(0), m1: load(4), m2: load(3) };
    const recorded = ports(loads);
    await expect(place("pipeline", members, { ...recorded, mayTry })).resolves.toBe("m2");
    const full = ports(loads, (name) => (name === "m0" ? { admitted: name } : { full: true }));
    await expect(place("pipeline", members, { ...full, mayTry })).resolves.toBe("m0");
    expect(full.tried).toEqual(["m2", "m1", "m0"]);
  });

  test("tries sick members when there are no others", async () => {
    const recorded = ports({ m0: load(0) });
    const placed = place("pipeline", [member(0)], { ...recorded, mayTry: () => false });
    await expect(placed).resolves.toBe("m0");
  });

  test("waits longer, once, for a slow member when no other one is left", async () => {
    vi.useFakeTimers();
    const signals: AbortSignal[] = [];
    const placed = place<string>("pipeline", [member(0)], {
      probe: async (_, signal) => {
        signals.push(signal);
        if (signals.length === 1) return silence(signal);
        return load(0);
      },
      admit: async ({ name }) => ({ admitted: name }),
    });
    await vi.advanceTimersByTimeAsync(250);
    await expect(placed).resolves.toBe("m0");
    expect(signals).toHaveLength(2);
    expect(signals[0]?.aborted).toBe(true);
  });

  test("a pool without members is no_members_available", async () => {
    await expect(place("pipeline", [], ports({}))).rejects.toMatchObject({
      code: "no_members_available",
    });
  });

  test("members that do not answer are no_members_available, with the reason", async () => {
    const placed = place("pipeline", [member(0), member(1)], ports({}));
    await expect(placed).rejects.toMatchObject({
      code: "no_members_available",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  test("members that never answer are no_members_available, after a bounded wait", async () => {
    vi.useFakeTimers();
    const placed = place("pipeline", [member(0)], ports({ m0: "slow" }));
    const refused = expect(placed).rejects.toMatchObject({ code: "no_members_available" });
    await vi.advanceTimersByTimeAsync(60_000);
    await refused;
  });

  test("the error names why a member with free slots admits nothing", async () => {
    const closed = PoolError.of("fenced", "member m0 has lost Consul");
    const recorded = ports({ m0: load(0), m1: load(5) }, () => ({ full: true, closed }));
    await expect(place("pipeline", [member(0), member(1)], recorded)).rejects.toMatchObject({
      code: "all_members_at_capacity",
      message: expect.stringContaining("none of 2 members admits: member m0 has lost Consul"),
    });
  });

  test("members that are all full are all_members_at_capacity", async () => {
    const recorded = ports({ m0: load(5), m1: load(5) });
    await expect(place("pipeline", [member(0), member(1)], recorded)).rejects.toMatchObject({
      code: "all_members_at_capacity",
    });
    expect(recorded.tried).toEqual([]);
  });

  test("finds a slot that comes free during the search", async () => {
    let asked = 0;
    const placed = place<string>("pipeline", [member(0)], {
      probe: async () => load(asked++ === 0 ? 5 : 4),
      admit: async ({ name }) => ({ admitted: name }),
    });
    await expect(placed).resolves.toBe("m0");
  });

  test("tries no other member after one that may have admitted", async () => {
    const tried: string[] = [];
    const lost = PoolError.of("member_lost", "lost while it may have admitted");
    const placed = place("pipeline", [member(0), member(1), member(2)], {
      probe: async () => load(0),
      admit: async ({ name }) => {
        tried.push(name);
        throw lost;
      },
    });
    await expect(placed).rejects.toBe(lost);
    expect(tried).toHaveLength(1);
  });

  test("asks few of many members when those have free slots", async () => {
    const asked = new Set<string>();
    await place(
      "pipeline",
      Array.from({ length: 1_000 }, (_, index) => member(index)),
      {
        probe: async ({ name }) => {
          asked.add(name);
          return load(0);
        },
        admit: async ({ name }) => ({ admitted: name }),
      },
    );
    expect(asked.size).toBe(5);
  });

  test("finds the one free slot among many members", async () => {
    const members = Array.from({ length: 300 }, (_, index) => member(index));
    const placed = place<string>("pipeline", members, {
      probe: async ({ name }) => load(name === "m217" ? 4 : 5),
      admit: async ({ name }) => (name === "m217" ? { admitted: name } : { full: true }),
    });
    await expect(placed).resolves.toBe("m217");
  });
});

describe("N callers and N free slots", () => {
  /** Members with atomic admission, whose answers take a recorded number of turns each. */
  async function callAll(slots: readonly number[], delays: readonly number[]): Promise<void> {
    const members = slots.map((max, index) => member(index, max));
    const active = new Map(members.map(({ name }) => [name, 0]));
    let turn = 0;
    const pause = async () => {
      const turns = delays[turn++ % delays.length] as number;
      for (let index = 0; index < turns; index++) await Promise.resolve();
    };
    const callers = slots.reduce((sum, max) => sum + max, 0);
    const admitted = await Promise.all(
      Array.from({ length: callers }, () =>
        place<string>("pipeline", members, {
          probe: async ({ name, pools }) => {
            await pause();
            const answer = load(active.get(name) as number, pools.pipeline as number);
            await pause();
            return answer;
          },
          admit: async ({ name, pools }) => {
            await pause();
            const now = active.get(name) as number;
            if (now >= (pools.pipeline as number)) return { full: true };
            active.set(name, now + 1);
            await pause();
            return { admitted: name };
          },
        }),
      ),
    );
    expect(admitted).toHaveLength(callers);
    expect([...active.values()]).toEqual(slots);
  }

  const delays = fc.array(fc.nat(5), { minLength: 1, maxLength: 20 });

  test("all are admitted by any set of members", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 20 }),
        delays,
        callAll,
      ),
    ));

  test("all are admitted when only a sample is asked at first", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 21, maxLength: 60 }),
        delays,
        callAll,
      ),
      { numRuns: 30 },
    ));
});

describe("DirectAccess", () => {
  /** Members on servers of their own, which answer with the status of `state`. */
  async function membersOf(...levels: Member["sandbox"][]) {
    const asked: string[] = [];
    const state = { status: 200 };
    const members = await Promise.all(
      levels.map(async (sandbox, index): Promise<Member> => {
        const server = createServer((request, response) => {
          asked.push(`m${index} ${request.method} ${request.headers.authorization}`);
          const refusal = problem("unauthorized", "not known here");
          const body =
            state.status === 401
              ? refusal
              : request.method === "GET"
                ? { member: `m${index}`, pools: { pipeline: load(0) } }
                : { id: `m${index}.0` };
          const type = state.status === 401 ? "application/problem+json" : "application/json";
          request
            .resume()
            .on("end", () =>
              response.writeHead(state.status, { "content-type": type }).end(JSON.stringify(body)),
            );
        });
        await once(server.listen(0, "127.0.0.1"), "listening");
        onTestFinished(() => void server.close());
        return {
          ...member(index),
          url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
          sandbox,
        };
      }),
    );
    const client = new Client(new NodeTransport());
    onTestFinished(() => client.close());
    return {
      asked,
      state,
      access: new DirectAccess(client, {
        in: async () => members,
        find: async () => undefined,
        all: async () => members,
        registered: async () => members.map((member) => ({ ...member, state: "up" as const })),
        close: () => {},
      }).as("Bearer x"),
    };
  }

  test("asks only members of the demanded sandbox level or a stronger one", async () => {
    const { access, asked } = await membersOf("none", "full", "no-cgroup");
    expect(
      await access.placeChild("pipeline", { command: ["true"], sandbox: "full" }),
    ).toMatchObject({ id: "m1.0" });
    expect(new Set(asked.map((line) => line.slice(0, 2)))).toEqual(new Set(["m1"]));
    asked.length = 0;
    expect(
      (await access.placeChild("pipeline", { command: ["true"], sandbox: "no-cgroup" })).id,
    ).toMatch(/^m[12]\.0$/);
    expect(asked.some((line) => line.startsWith("m0"))).toBe(false);
    const weak = await membersOf("none", "no-cgroup");
    await expect(
      weak.access.placeChild("pipeline", { command: ["true"], sandbox: "full" }),
    ).rejects.toMatchObject({
      code: "no_members_available",
      message:
        "pool pipeline: expected a member of sandbox level full or stronger; " +
        "its 2 have none, no-cgroup",
    });
    expect(weak.asked).toEqual([]);
  });

  test("sends each member the caller's token, and reports that none accepts it", async () => {
    const { access, asked, state } = await membersOf("none", "none");
    await access.placeChild("pipeline", { command: ["true"] });
    await access.pool("pipeline");
    expect(asked.length).toBeGreaterThanOrEqual(5);
    expect(asked.filter((line) => !line.endsWith(" Bearer x"))).toEqual([]);
    state.status = 401;
    await expect(access.placeChild("pipeline", { command: ["true"] })).rejects.toMatchObject({
      code: "unauthorized",
    });
    await expect(access.pool("pipeline")).rejects.toMatchObject({ code: "unauthorized" });
    await expect(access.children("pipeline")).rejects.toMatchObject({ code: "unauthorized" });
  });
});
