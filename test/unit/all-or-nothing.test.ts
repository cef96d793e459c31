/** A start that fails closes what it has opened. */
import { describe, expect, test } from "vitest";
import { allOrNothing } from "../../server/member/all-or-nothing.ts";

describe("allOrNothing", () => {
  test("closes nothing when everything opens", async () => {
    const closed: string[] = [];
    const value = await allOrNothing(async (onFailure) => {
      onFailure(() => closed.push("a"));
      return 1;
    });
    expect([value, closed]).toEqual([1, []]);
  });

  test("closes the latest first, waits for each, and throws the first error", async () => {
    const closed: string[] = [];
    const failing = allOrNothing(async (onFailure) => {
      onFailure(() => closed.push("a"));
      onFailure(() => {
        throw new Error("b does not close");
      });
      onFailure(async () => {
        await Promise.resolve();
        closed.push("c");
      });
      throw new Error("d does not open");
    });
    await expect(failing).rejects.toThrow("d does not open");
    expect(closed).toEqual(["c", "a"]);
  });
});
