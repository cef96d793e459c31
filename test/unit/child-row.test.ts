/** The cells of `dpool ps`. */
import { expect, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { ageText, progressText, workText } from "../../server/cli/output/child-row.ts";

const START = "2026-01-31T12:00:00.000Z";
const childOf = (rest: Partial<ChildInfo>) =>
  ({ kind: "command", startedAt: START, endedAt: null, ...rest }) as ChildInfo;

test("a child shows its command, or its name", () => {
  expect(workText(childOf({ name: "make", command: ["make", "all"] }))).toBe("make all");
  expect(workText(childOf({ name: "thumbnails" }))).toBe("thumbnails");
  expect(workText(childOf({}))).toBe("command");
});

test("text of a caller does nothing to the terminal", () => {
  expect(workText(childOf({ command: ["echo", "\x1b[2J\x07\u202e\nx"] }))).toBe(
    "echo \ufffd[2J\ufffd\ufffd\ufffdx",
  );
  expect(progressText(childOf({ progress: { done: 1, message: "a\rb" } }))).toBe("1 a\ufffdb");
});

test.each([
  [0, "0s"],
  [59_999, "59s"],
  [124_000, "2m04s"],
  [12_000_000, "3h20m"],
  [183_600_000, "2d03h"],
  [-5_000, "0s"],
])("%d ms are %s", (ms, text) => {
  expect(ageText(childOf({}), Date.parse(START) + ms)).toBe(text);
  expect(ageText(childOf({ endedAt: new Date(Date.parse(START) + ms).toISOString() }))).toBe(text);
});

test("progress has its total where that is known", () => {
  expect(progressText(childOf({}))).toBe("");
  expect(progressText(childOf({ progress: { done: 3, total: 10, message: "words" } }))).toBe(
    "3/10 words",
  );
});
