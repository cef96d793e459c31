/** A process that holds more and more is found; one that rises and falls is not. */
import { expect, test } from "vitest";
import { growthOf, type Sample } from "../soak/growth.ts";

const MIB = 1024 * 1024;
const samples = (of: (index: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 160 }, (_, index) => ({
    member: "m1",
    pid: 1,
    at: index,
    rssBytes: 100 * MIB,
    heapBytes: 30 * MIB,
    descriptors: 40,
    ...of(index),
  }));

test("steady, and up and down, is no growth", () => {
  expect(growthOf(samples(() => ({})))).toEqual([]);
  expect(growthOf(samples((index) => ({ heapBytes: (30 + (index % 4) * 40) * MIB })))).toEqual([]);
  expect(growthOf(samples((index) => ({ rssBytes: (index < 5 ? 50 : 200) * MIB })))).toEqual([]);
});

test.each([
  ["rssBytes", (index: number) => ({ rssBytes: (100 + index * 10) * MIB })],
  ["heapBytes", (index: number) => ({ heapBytes: (30 + index * 5) * MIB })],
  ["descriptors", (index: number) => ({ descriptors: 40 + index * 5 })],
])("%s that grow are found", (measure, of) => {
  expect(growthOf(samples(of)).join()).toContain(`m1 (process 1): ${measure} grew`);
});

test("processes of one member are not compared with each other", () => {
  const of = (index: number) => ({
    pid: index < 80 ? 1 : 2,
    rssBytes: (index < 80 ? 50 : 400) * MIB,
  });
  expect(growthOf(samples(of))).toEqual([]);
});
