/** Requests that come together begin a few in each turn of the event loop, in their order. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Turnstile } from "../../server/http/turnstile.ts";

test("of 100 requests that come together, 16 begin in each turn, in their order", async () => {
  const turnstile = new Turnstile();
  const begun: number[] = [];
  const enter = async (index: number) => {
    await turnstile.enter();
    begun.push(index);
  };
  const all = Array.from({ length: 100 }, (_, index) => enter(index));
  const counts: number[] = [];
  while (begun.length < 100) {
    await Promise.resolve();
    counts.push(begun.length);
    await nextTurn();
  }
  await Promise.all(all);
  expect(counts.slice(0, 3)).toEqual([16, 32, 48]);
  expect(begun).toEqual(Array.from({ length: 100 }, (_, index) => index));
  await nextTurn();
  expect(turnstile.enter()).toBeUndefined();
});
