/** The processors that children have for their own. */
import { expect, test } from "vitest";
import { Cores, parseCores } from "../../server/sandbox/cores.ts";

const ALL = parseCores("0-2,8");

test("each processor has one child, and is given again", () => {
  const cores = new Cores(ALL, 0);
  expect(cores.take(2, ALL)).toEqual([0, 1]);
  expect(cores.take(2, ALL)).toEqual([2, 8]);
  expect(cores.take(1, ALL)).toBeUndefined();
  cores.giveBack([8, 1]);
  expect(cores.take(1, ALL)).toEqual([8]);
});

test("a processor that was taken from the member is given to no child", () => {
  const cores = new Cores(ALL, 0);
  expect(cores.take(1, [2])).toEqual([2]);
  expect(cores.take(1, [2])).toBeUndefined();
  expect(cores.take(1, ALL)).toEqual([0]);
});
