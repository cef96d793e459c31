/** The memory of starts: fingerprints of specs, and requests that come again. */
import { describe, expect, test } from "vitest";
import { ChildSpecSchema } from "../../openapi/schemas/spec.ts";
import { fingerprintOf } from "../../server/supervisor/once/fingerprint.ts";
import { RecentStarts } from "../../server/supervisor/once/recent-starts.ts";

const BOOT = "0123456789abcdef";
const ID = "9b2c1a54-8a8c-4a53-9a3f-2f1f0c9d7e11";
const header = (attempt: number, boot = BOOT, id = ID) => `${boot}.${id}.${attempt}`;

function of(spec: object, lifetime: "call" | "placed" = "call", salt = "k") {
  return fingerprintOf({ spec: ChildSpecSchema.parse(spec), lifetime }, salt);
}

describe("a fingerprint", () => {
  test("is that of what is asked for, in any order", async () => {
    const spec = { command: ["a", "b"], env: { A: "1", B: "2" }, labels: { a: "b" } };
    const same = { labels: { a: "b" }, env: { B: "2", A: "1" }, command: ["a", "b"], waitMs: 9 };
    expect(await of(spec)).toMatch(/^[0-9a-f]{64}$/);
    expect(await of(same)).toBe(await of(spec));
    expect(await of({ ...spec, deadlineMs: 5, idempotencyKey: "k" })).toBe(await of(spec));
  });

  test("differs where anything else does", async () => {
    const calls = [
      { command: ["a", "b"] },
      { command: ["ab"] },
      { command: ["a", "b"], link: true },
      { command: ["a", "b"], stdin: "" },
      { function: { source: "f", args: [[1], 2] } },
      { function: { source: "f", args: [[1, 2]] } },
      { function: { source: "f", args: ["1", 2] } },
      { function: { source: "f", args: [null, {}] } },
      { function: { source: "f", args: [{ a: null }, []] } },
      { task: { name: "f", args: [[1], 2] } },
    ];
    const prints = await Promise.all([
      ...calls.map((spec) => of(spec)),
      of({ command: ["a", "b"] }, "placed"),
      of({ command: ["a", "b"] }, "call", "other"),
    ]);
    expect(new Set(prints).size).toBe(prints.length);
  });

  test("lets other work have its turn", async () => {
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    await of({ command: ["cat"], stdin: "x".repeat(8 * 1024 * 1024) });
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(7);
  });
});

describe("a request that comes again", () => {
  const never = () => Promise.reject(new Error("started twice"));

  test("gets the child of the first, even before that has one", async () => {
    const starts = new RecentStarts(BOOT);
    const { promise, resolve } = Promise.withResolvers<string>();
    const first = starts.once("ann", header(0), () => promise);
    const again = starts.once("ann", header(1), never);
    resolve("m1.x");
    expect(await first).toEqual({ child: "m1.x", isRepeat: false });
    expect(await again).toEqual({ child: "m1.x", isRepeat: true });
    expect(await starts.once("ann", header(0), never)).toEqual({ child: "m1.x", isRepeat: true });
    const others = await starts.once("bob", header(0), async () => "m1.y");
    expect(others).toEqual({ child: "m1.y", isRepeat: false });
  });

  test("starts a child where the first did not arrive, or was refused", async () => {
    const starts = new RecentStarts(BOOT);
    expect(await starts.once("ann", header(1), async () => "m1.x")).toMatchObject({
      child: "m1.x",
    });
    const full = () => Promise.reject(new Error("full"));
    await expect(starts.once("bob", header(0), full)).rejects.toThrow("full");
    expect(await starts.once("bob", header(1), async () => "m1.y")).toMatchObject({
      child: "m1.y",
    });
  });

  test("starts nothing once its repeat was refused", async () => {
    const starts = new RecentStarts(BOOT);
    const full = () => Promise.reject(new Error("full"));
    await expect(starts.once("ann", header(1), full)).rejects.toThrow("full");
    await expect(starts.once("ann", header(0), never)).rejects.toMatchObject({ code: "cancelled" });
  });

  test("starts nothing where the first may have been forgotten", async () => {
    const unknown = { code: "member_lost", admitted: "unknown" };
    const elsewhere = new RecentStarts("fedcba9876543210");
    await expect(elsewhere.once("ann", header(1), never)).rejects.toMatchObject(unknown);
    const starts = new RecentStarts(BOOT, { ofCaller: 1, all: 2 });
    for (const id of ["a".repeat(32), "b".repeat(32)])
      expect(await starts.once("ann", header(0, BOOT, id), async () => id)).toBeDefined();
    const again = starts.once("ann", header(1, BOOT, "b".repeat(32)), never);
    await expect(again).rejects.toMatchObject(unknown);
    expect(await starts.once("bob", header(1), async () => "m1.x")).toMatchObject({
      child: "m1.x",
    });
  });

  test("needs a header of the form", async () => {
    const starts = new RecentStarts(BOOT);
    for (const bad of ["", "x", header(100), `${header(0)} `, header(0, "X".repeat(16))])
      await expect(starts.once("ann", bad, never)).rejects.toMatchObject({
        code: "invalid_request",
      });
  });
});
