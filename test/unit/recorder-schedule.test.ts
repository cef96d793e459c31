/** A seed determines the schedule of faults and every call. */
import { describe, expect, test } from "vitest";
import { callsOf, specOf } from "../recorder/calls.ts";
import { type CallPlan, FAULTS, type FaultKind, WAYS } from "../recorder/history.ts";
import { Random } from "../recorder/random.ts";
import { scheduleOf } from "../recorder/schedule.ts";

const MEMBERS = ["m1", "m2", "m3", "m4", "m5"];
const MINUTES = 60_000;

const schedule = (seed: number, without: readonly FaultKind[] = [], durationMs = 10 * MINUTES) =>
  scheduleOf(new Random(seed), {
    durationMs,
    members: MEMBERS,
    spared: new Set(["m1"]),
    guests: { join: "m6", released: "m7" },
    without: new Set(without),
  });
function calls(seed: number): CallPlan[] {
  const plans = callsOf(new Random(seed), "c0", "http");
  return Array.from({ length: 200 }, () => plans.next().value).flat();
}

describe("a seed", () => {
  test("reproduces the schedule and the calls, and another one gives others", () => {
    expect(schedule(7)).toEqual(schedule(7));
    expect(schedule(7)).not.toEqual(schedule(8));
    expect(calls(7)).toEqual(calls(7));
    expect(calls(7)).not.toEqual(calls(8));
  });

  test("gives each call an id of its own", () => {
    const all = calls(7);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  });

  test("gives all calls of a key one spec, and asks several members", () => {
    const keyed = calls(7).filter(({ isKeyed }) => isKeyed);
    const keys = [...Map.groupBy(keyed, ({ workId }) => workId).values()];
    expect(keys.length).toBeGreaterThan(20);
    for (const same of keys) {
      expect(new Set(same.map((plan) => JSON.stringify(specOf(plan)))).size).toBe(1);
      expect(new Set(same.map(({ target }) => target)).size).toBe(same.length);
    }
    expect(new Set(keyed.map(({ begins }) => begins === "in turn"))).toEqual(
      new Set([false, true]),
    );
    expect(new Set(keyed.map(({ way }) => way))).toEqual(new Set(WAYS));
  });
});

describe("a schedule", () => {
  test("has every kind of fault, but for those that cannot be made", () => {
    const kinds = (without: readonly FaultKind[]) =>
      new Set(schedule(7, without).map(({ kind }) => kind));
    expect(kinds([])).toEqual(new Set(FAULTS));
    expect(kinds(["clock", "full"])).toEqual(
      new Set(FAULTS.filter((kind) => kind !== "clock" && kind !== "full")),
    );
    expect(schedule(7, FAULTS)).toEqual([]);
  });

  test("spares a process", () => {
    const ended = schedule(7).filter(({ kind }) => kind === "kill" || kind === "rolling");
    expect(ended.length).toBeGreaterThan(0);
    expect(ended.filter(({ hosts }) => hosts.includes("m1"))).toEqual([]);
  });

  test.each([1, 2, 3, 4, 5])("mends everything in time, one fault at a host (seed %i)", (seed) => {
    const planned = schedule(seed);
    for (const { atMs, forMs } of planned) expect(atMs + forMs).toBeLessThanOrEqual(10 * MINUTES);
    for (const [index, one] of planned.entries())
      for (const other of planned.slice(index + 1)) {
        const areTogether = other.atMs < one.atMs + one.forMs;
        if (areTogether) expect(one.hosts.filter((host) => other.hosts.includes(host))).toEqual([]);
      }
  });
});
