/** The account of bytes that requests hold: its bounds, and that it gets every byte back. */
import { expect, test } from "vitest";
import { HeldBytes } from "../../server/http/bodies/held-bytes.ts";

const account = (maxBytes: number, shared: boolean) =>
  new HeldBytes({ what: "requests", maxBytes: () => maxBytes, shared });
const code = (expected: string) => expect.objectContaining({ code: expected });

test("all callers together hold at most so many bytes", () => {
  const held = account(100, false);
  held.open("a", 100);
  expect(() => held.open("b", 1)).toThrow(
    "expected all requests to hold at most 100 bytes at a time; they hold 100, and 1 more came",
  );
  expect(() => held.open("a", 1)).toThrow(code("overloaded"));
  expect(held.bytes).toBe(100);
});

test("one caller of several holds at most half", () => {
  const held = account(100, true);
  held.open("a", 30);
  const own = held.open("a", 20);
  expect(() => own.grow(1)).toThrow(code("too_many_requests"));
  held.open("b", 50);
  expect(() => held.open("c", 1)).toThrow(code("overloaded"));
});

test("a request that can never have room is too large, and no reason to try again", () => {
  expect(() => account(100, true).open("a", 51)).toThrow(code("payload_too_large"));
  const own = account(100, false).open("a", 60);
  expect(() => own.grow(41)).toThrow(
    "expected one of the requests to hold at most 100 bytes; got 101",
  );
});

test("a refusal says that nothing was admitted", () => {
  const held = account(2, true);
  held.open("b", 1);
  held.open("a", 1);
  for (const bytes of [1, 2])
    try {
      held.open("a", bytes);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ problem: { admitted: false } });
    }
  expect(held.bytes).toBe(2);
});

test("the last holder gives the bytes back, once", () => {
  const held = account(100, true);
  const holding = held.open("a", 40);
  const release = holding.hold();
  holding.release();
  holding.set(50);
  expect(held.bytes).toBe(50);
  release();
  release();
  holding.set(70);
  expect(held.bytes).toBe(0);
  expect(held.open("a", 50).bytes).toBe(50);
});

test("bytes that are held for convenience make room: the caller's own for its share", () => {
  const held = account(100, true);
  const kept = ["a", "b", "c"].map((caller) => ({ caller, holding: held.open(caller, 30) }));
  const given: string[] = [];
  held.onFull((caller) => {
    const at = kept.findIndex((each) => caller === undefined || each.caller === caller);
    const [first] = at < 0 ? [] : kept.splice(at, 1);
    first?.holding.release();
    given.push(first?.caller ?? "none");
    return first !== undefined;
  });
  held.open("c", 40);
  held.open("d", 50);
  expect(given).toEqual(["c", "a", "b"]);
  expect(() => held.open("e", 50)).toThrow(code("overloaded"));
  expect(held.bytes).toBe(90);
});
