/** The limits for one client: requests per second, and open streams. */
import { describe, expect, test } from "vitest";
import { RateLimit, StreamLimit } from "../../server/access/rate-limit.ts";

describe("RateLimit", () => {
  test("lets a burst of 2 seconds pass, and the rate afterwards", () => {
    let now = 0;
    const rates = new RateLimit(10, () => now);
    const taken = (client: string) =>
      Array.from({ length: 100 }, () => rates.take(client)).filter(Boolean).length;
    expect(taken("a")).toBe(20);
    expect(taken("b")).toBe(20);
    now += 500;
    expect(taken("a")).toBe(5);
    now += 3_600_000;
    expect(taken("a")).toBe(20);
  });

  test("remembers 10,000 clients, those that were active last", () => {
    const rates = new RateLimit(1, () => 0);
    for (let client = 0; client < 30_000; client++) rates.take(`${client}`);
    expect(rates.clients).toBe(10_000);
    expect([rates.take("29999"), rates.take("29999")]).toEqual([true, false]);
  });
});

test("StreamLimit counts the streams of each client apart", () => {
  const streams = new StreamLimit(2);
  const [first, second] = [streams.open("a"), streams.open("a")];
  expect([streams.open("a"), typeof streams.open("b")]).toEqual([undefined, "function"]);
  first?.();
  second?.();
  expect([typeof streams.open("a"), typeof streams.open("a"), streams.open("a")]).toEqual([
    "function",
    "function",
    undefined,
  ]);
});
