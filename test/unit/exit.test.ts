/** The exit code and the signal of a process tree, and the bound on the wait for its exit. */
import { expect, test, vi } from "vitest";
import { exitOf, exitWithin } from "../../server/sandbox/exit.ts";
import type { Exit } from "../../server/sandbox/sandbox.ts";

const EXIT: Exit = {
  exitCode: 0,
  signal: null,
  started: true,
  exceeded: undefined,
  usage: undefined,
};

test.each([
  [0, null, 0, null],
  [7, null, 7, null],
  [128, null, 128, null],
  [134, null, 134, "SIGABRT"],
  [137, null, 137, "SIGKILL"],
  [255, null, 255, null],
  [null, "SIGTERM", 143, "SIGTERM"],
  [null, null, 1, null],
] as const)("code %s and signal %s", (code, by, exitCode, signal) => {
  expect(exitOf(code, by)).toEqual({ exitCode, signal });
});

test("a process that exits in time is not killed", async () => {
  const kill = vi.fn();
  expect(await exitWithin(10_000, { exited: Promise.resolve(EXIT), kill })).toBe(EXIT);
  expect(kill).not.toHaveBeenCalled();
});

test("a process that does not exit in time is killed, and its exit awaited", async () => {
  const { promise: exited, resolve } = Promise.withResolvers<Exit>();
  const killed = { ...EXIT, exitCode: 137 };
  expect(await exitWithin(1, { exited, kill: () => resolve(killed) })).toBe(killed);
});
