import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Deadline } from "../../sdk/typescript/time/deadline.ts";
import { pause } from "../../sdk/typescript/time/pause.ts";
import { within } from "../../sdk/typescript/time/within.ts";

describe("a deadline", () => {
  test("passes on what remains, as whole milliseconds of a spec", () => {
    let now = 1_000;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    onTestFinished(() => clock.mockRestore());
    const deadline = new Deadline(100);
    expect([deadline.remainingMs, deadline.hasPassed]).toEqual([100, false]);
    now += 99.5;
    expect([deadline.remainingMs, deadline.forSpec]).toEqual([0.5, { deadlineMs: 1 }]);
    now += 0.5;
    expect([deadline.hasPassed, deadline.forSpec]).toEqual([true, { deadlineMs: 1 }]);
    now += 1;
    // A timer warns of a negative time.
    expect(deadline.remainingMs).toBe(0);
  });

  test("of undefined never passes, and adds no key to a spec", () => {
    const deadline = new Deadline(undefined);
    expect([deadline.remainingMs, deadline.hasPassed]).toEqual([Number.POSITIVE_INFINITY, false]);
    expect(deadline.forSpec).toEqual({});
  });
});

describe("pause", () => {
  test("rejects with the signal's own reason, before and during the pause", async () => {
    const controller = new AbortController();
    const paused = pause(60_000, controller.signal);
    controller.abort(new RangeError("enough"));
    await expect(paused).rejects.toThrow(new RangeError("enough"));
    await expect(pause(60_000, controller.signal)).rejects.toThrow(new RangeError("enough"));
  });

  test("ends by itself, with and without a signal", async () => {
    await pause(1, undefined);
    await pause(1, new AbortController().signal);
  });
});

describe("within", () => {
  test("is the value of work that ends in time, and its error", async () => {
    expect(await within(60_000, Promise.resolve(1212))).toBe(1212);
    await expect(within(60_000, Promise.reject(new Error("no")))).rejects.toThrow("no");
  });

  test("is undefined for work that takes longer", async () => {
    expect(await within(1, new Promise(() => {}))).toBeUndefined();
  });
});
