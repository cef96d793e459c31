/** The loads that a client knows, by a clock of the test's own. */
import { describe, expect, test } from "vitest";
import type { Load } from "../../openapi/errors.ts";
import { type Choice, KnownLoads } from "../../sdk/typescript/placement/choice/known-loads.ts";

interface Named {
  readonly name: string;
}

const load = (active: number, max = 5): Load => ({ active, max, queued: 0 });
const named = (count: number): Named[] =>
  Array.from({ length: count }, (_, index) => ({ name: `m${index}` }));

/** Random numbers that are the same in each run. */
function randomFrom(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Known loads of so many members, whose clock stands still until `pass` is called. */
function open(count = 3) {
  const known = new KnownLoads();
  const members = named(count);
  const random = randomFrom(1);
  let now = 0;
  return {
    known,
    members,
    pass: (ms: number) => {
      now += ms;
    },
    note: (name: string, told: Load) => known.note(name, told, now),
    sample: (...loads: Load[]) =>
      known.noteSample(
        loads.map((told) => ({ load: told })),
        now,
      ),
    sent: (name: string) => known.sent(name, now),
    admitted: (name: string, told?: Load) => known.answered(name, { isAdmitted: true, told }, now),
    refused: (name: string, told?: Load) => known.answered(name, { isAdmitted: false, told }, now),
    ended: (name: string) => known.ended(name, now),
    choose: (options: Partial<Parameters<typeof known.choose<Named>>[1]> = {}) =>
      known.choose(members, { now, random, ...options }),
    older: (options: Partial<Parameters<typeof known.older<Named>>[1]> = {}) =>
      known.older(members, { now, random, ...options }),
  };
}

const nameOf = (choice: Choice<Named> | undefined) => choice?.member.name;

test("nothing is chosen before a load is known", () => {
  expect(open().choose()).toBeUndefined();
});

test("the least loaded is chosen, by active/max", () => {
  const { note, choose } = open();
  note("m0", load(2, 4));
  note("m1", load(3, 12));
  note("m2", load(5, 5));
  expect(choose()).toMatchObject({ member: { name: "m1" }, load: load(3, 12) });
});

test("a request counts from the moment it is sent, and not twice when its answer tells", () => {
  const { note, sent, admitted, choose } = open();
  note("m0", load(0));
  note("m1", load(1));
  sent("m0");
  sent("m0");
  expect(nameOf(choose())).toBe("m1");
  admitted("m0", load(1));
  admitted("m0", load(2));
  expect(choose()?.load).toEqual(load(1));
  note("m1", load(5));
  expect(choose()).toMatchObject({ member: { name: "m0" }, load: load(2) });
});

test("a child that an older member admitted without telling its load counts until it ends", () => {
  const { note, sent, admitted, ended, choose } = open();
  note("m0", load(3));
  sent("m0");
  admitted("m0");
  expect(choose()?.load.active).toBe(4);
  ended("m0");
  expect(choose()?.load.active).toBe(3);
});

test("a full member is chosen again when a child ends there", () => {
  const { note, ended, choose } = open();
  note("m0", load(5));
  expect(choose()).toBeUndefined();
  ended("m0");
  expect(choose()).toMatchObject({ member: { name: "m0" }, load: load(4) });
});

test("the member whose child ended last is compared, however many others are known", () => {
  const { note, ended, choose, members } = open(500);
  for (const { name } of members) note(name, load(4));
  ended("m321");
  for (let index = 0; index < 20; index++) expect(nameOf(choose())).toBe("m321");
});

test("a load is believed for 100 ms, and the end of a child renews it", () => {
  const { note, ended, choose, pass } = open();
  note("m0", load(1));
  note("m1", load(1));
  pass(80);
  ended("m1");
  pass(20);
  expect(nameOf(choose())).toBe("m1");
  note("m1", load(2));
  expect(nameOf(choose())).toBe("m0");
  pass(1);
  expect(nameOf(choose())).toBe("m1");
  pass(100);
  expect(choose()).toBeUndefined();
});

test("a member whose load is old is worth a question, for 5 seconds", () => {
  const { note, ended, older, pass, known } = open();
  note("m0", load(3));
  note("m1", load(2));
  note("m2", load(5));
  expect(older()).toBeUndefined();
  pass(101);
  expect(older()?.name).toBe("m1");
  expect(older({ mayTry: ({ name }) => name !== "m1" })?.name).toBe("m0");
  ended("m1");
  expect(older()?.name).toBe("m0");
  pass(4_900);
  expect(older()?.name).toBe("m1");
  expect(known.size).toBe(1);
  pass(101);
  expect(older()).toBeUndefined();
  expect(known.size).toBe(0);
});

test("a refusal tells the load, and a failure makes the member unknown", () => {
  const { note, sent, refused, choose } = open();
  note("m0", load(0));
  note("m1", load(1));
  sent("m0");
  refused("m0", load(5));
  expect(nameOf(choose())).toBe("m1");
  sent("m1");
  refused("m1");
  expect(choose()).toBeUndefined();
});

test("a member that owes an answer for 100 ms is not chosen until it says something", () => {
  const { note, sent, admitted, choose, older, pass, ended } = open();
  note("m0", load(0));
  note("m1", load(4));
  sent("m0");
  sent("m0");
  pass(60);
  note("m1", load(4));
  expect(nameOf(choose())).toBe("m0");
  pass(41);
  ended("m0");
  expect(nameOf(choose())).toBe("m1");
  admitted("m0", load(1));
  expect(nameOf(choose())).toBe("m0");
  pass(101);
  expect(older()?.name).toBe("m1");
});

test("a sick member is passed over, and one that has left is not chosen", () => {
  const { note, choose } = open();
  note("m0", load(0));
  note("m1", load(1));
  note("gone", load(0));
  expect(nameOf(choose({ mayTry: ({ name }) => name !== "m0" }))).toBe("m1");
  expect(choose({ mayTry: () => false })).toBeUndefined();
});

describe("the member of this very process", () => {
  const own = (active: number) => ({ member: { name: "m2" }, load: load(active) });

  test("is chosen among equals, by its load of now", () => {
    const { note, choose } = open();
    note("m0", load(1));
    note("m2", load(5));
    expect(nameOf(choose({ own: own(1) }))).toBe("m2");
    expect(nameOf(choose({ own: own(2) }))).toBe("m0");
  });

  test("is not chosen while it is full", () => {
    expect(open().choose({ own: own(5) })).toBeUndefined();
  });
});

describe("whether asking others pays", () => {
  test("it does not while the best member is idle, or all members are known", () => {
    const { note, choose } = open();
    note("m0", load(0));
    expect(choose()?.isBusy).toBe(false);
    for (const name of ["m0", "m1", "m2"]) note(name, load(3));
    expect(choose()?.isBusy).toBe(false);
  });

  test("it does where the best is busier than the last sample, or that is 5 seconds old", () => {
    const { note, sample, choose, pass } = open();
    sample(load(2), load(2));
    note("m0", load(2));
    expect(choose()?.isBusy).toBe(false);
    note("m0", load(3));
    expect(choose()?.isBusy).toBe(true);
    pass(5_001);
    note("m0", load(2));
    expect(choose()?.isBusy).toBe(true);
  });
});

test("clients that were told the same loads choose different members", () => {
  const chosen = new Map<string | undefined, number>();
  const members = named(50);
  for (let client = 0; client < 50; client++) {
    const known = new KnownLoads();
    for (const { name } of members) known.note(name, load(0), 0);
    const name = nameOf(known.choose(members, { now: 0, random: randomFrom(client * 7_919) }));
    chosen.set(name, (chosen.get(name) ?? 0) + 1);
  }
  expect(chosen.size).toBeGreaterThan(20);
  expect(Math.max(...chosen.values())).toBeLessThan(6);
});

test("at most 1,024 members are known, those of the latest news", () => {
  const { note, known, members, choose } = open(1_500);
  for (const { name } of members) note(name, load(1));
  expect(known.size).toBe(1_024);
  note("m0", load(0));
  expect(known.size).toBe(1_024);
  const early = new Set(members.slice(1, 400).map(({ name }) => name));
  for (let index = 0; index < 100; index++) expect(early.has(nameOf(choose()) ?? "")).toBe(false);
});
