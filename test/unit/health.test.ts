/** Which members placement puts last. */
import { expect, test } from "vitest";
import { PoolError } from "../../openapi/errors.ts";
import { PoolHealth } from "../../sdk/typescript/placement/choice/health.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";

const MEMBER: Member = {
  name: "m1",
  url: "http://127.0.0.1:7400",
  pools: { pipeline: 1 },
  sandbox: "none",
  version: "0",
};
const REFUSAL = PoolError.of("sandbox_unavailable", "no space", { admitted: false });

function open() {
  let now = 0;
  const health = new PoolHealth(() => now);
  const fail = () => health.noted(MEMBER, Promise.resolve({ unreachable: REFUSAL }));
  return {
    health,
    fail,
    failThrice: async () => {
      for (let index = 0; index < 3; index++) await fail();
    },
    mayTry: () => health.mayTry(MEMBER),
    pass: (ms: number) => {
      now += ms;
    },
    work: () => health.noted(MEMBER, Promise.resolve({ admitted: "x" })),
    /** A probe that takes `ms`. */
    probe: (ms: number) =>
      health.timed(MEMBER, async () => {
        now += ms;
      }),
  };
}

test("three failures in a row eject a member for 5 seconds", async () => {
  const { fail, mayTry, pass } = open();
  await fail();
  await fail();
  expect(mayTry()).toBe(true);
  await fail();
  expect(mayTry()).toBe(false);
  pass(4_999);
  expect(mayTry()).toBe(false);
  pass(1);
  expect(mayTry()).toBe(true);
});

test("an admission between failures keeps a member in order", async () => {
  const { fail, mayTry, work } = open();
  await fail();
  await fail();
  await work();
  await fail();
  expect(mayTry()).toBe(true);
});

test("after the ejection one caller a second tries, until the member works", async () => {
  const { failThrice, mayTry, pass, work } = open();
  await failThrice();
  pass(5_000);
  expect([mayTry(), mayTry()]).toEqual([true, false]);
  pass(1_000);
  expect([mayTry(), mayTry()]).toEqual([true, false]);
  await work();
  expect([mayTry(), mayTry()]).toEqual([true, true]);
});

test("a trial that fails ejects for longer", async () => {
  const { fail, failThrice, mayTry, pass } = open();
  await failThrice();
  pass(5_000);
  expect(mayTry()).toBe(true);
  await fail();
  pass(9_999);
  expect(mayTry()).toBe(false);
  pass(1);
  expect(mayTry()).toBe(true);
});

test("failures of calls that were under way do not lengthen the ejection", async () => {
  const { failThrice, mayTry, pass } = open();
  await failThrice();
  await failThrice();
  pass(5_000);
  expect(mayTry()).toBe(true);
});

test("a member that tells its load late, or not at all, is ejected until it is quick", async () => {
  const { health, mayTry, probe, pass } = open();
  await probe(101);
  await probe(101);
  await expect(
    health.timed(MEMBER, async () => {
      throw new Error("ECONNREFUSED");
    }),
  ).rejects.toThrow("ECONNREFUSED");
  expect(mayTry()).toBe(false);
  pass(5_000);
  expect(mayTry()).toBe(true);
  await probe(1);
  expect([mayTry(), mayTry()]).toEqual([true, true]);
});

test("a full member, and a caller that leaves, are no failures", async () => {
  const { health, mayTry } = open();
  const left = Object.assign(new Error("left"), { name: "AbortError" });
  for (let index = 0; index < 5; index++) {
    await health.noted(MEMBER, Promise.resolve({ full: true }));
    await health.timed(MEMBER, () => Promise.reject(left)).catch(() => {});
  }
  expect(mayTry()).toBe(true);
});
