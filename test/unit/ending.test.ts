/** The one terminal event of a child. */
import { describe, expect, test } from "vitest";
import type { Outcome } from "../../server/runtimes/runtime.ts";
import { DEFAULT_LIMITS } from "../../server/sandbox/confinement.ts";
import type { Exit } from "../../server/sandbox/sandbox.ts";
import { exceededCause, terminalEvent, usageOf } from "../../server/supervisor/ending.ts";
import type { Artifacts } from "../../server/workspace/artifacts.ts";

const EXIT: Exit = {
  exitCode: 3,
  signal: null,
  started: true,
  exceeded: undefined,
  usage: undefined,
};
const EXITED: Outcome = { kind: "exited", exit: EXIT };
const USAGE = { wallMs: 1, cpuMs: null, maxRssBytes: null };
const BROKEN = { list: () => [{ path: "a", bytes: 1 }], problem: "they are too large" };

describe("the terminal event", () => {
  test.each<[Outcome, object]>([
    [EXITED, { type: "result", exitCode: 3, artifacts: [], usage: USAGE }],
    [
      { kind: "returned", value: 1 },
      { type: "result", value: 1 },
    ],
    [
      { kind: "threw", detail: "d", error: { name: "E", message: "m" } },
      { type: "failed", problem: { code: "function_threw", error: { name: "E", message: "m" } } },
    ],
    [
      { kind: "invalid", detail: "d" },
      { type: "failed", problem: { code: "invalid_request" } },
    ],
    [
      { kind: "unavailable", began: false, detail: "d" },
      { type: "failed", problem: { code: "sandbox_unavailable" } },
    ],
    [
      { kind: "crashed", detail: "d", exitCode: 9 },
      { type: "failed", exitCode: 9, problem: { code: "worker_crashed" } },
    ],
  ])("of %j is %j", (outcome, event) => {
    expect(terminalEvent({ outcome, cause: undefined, usage: USAGE }, undefined)).toMatchObject(
      event,
    );
  });

  test("reports the server's cause instead of the outcome", () => {
    const cause = { code: "cancelled", detail: "stopped" } as const;
    const event = terminalEvent({ outcome: EXITED, cause, usage: USAGE }, undefined);
    expect(event).toMatchObject({ type: "failed", problem: { code: "cancelled" } });
    expect(event.exitCode).toBe(3);
  });

  test("fails a success whose artifacts are not whole, and keeps its exit code", () => {
    const artifacts = BROKEN as Artifacts;
    expect(
      terminalEvent({ outcome: EXITED, cause: undefined, usage: USAGE }, artifacts),
    ).toMatchObject({
      type: "failed",
      exitCode: 3,
      problem: { code: "payload_too_large", detail: "artifacts: they are too large" },
      artifacts: [{ path: "a", bytes: 1 }],
    });
  });
});

test("a limit is the cause, unless a function had reported its outcome", () => {
  const exit: Exit = { ...EXIT, exceeded: "memory" };
  expect(exceededCause(exit, EXITED, DEFAULT_LIMITS)?.code).toBe("out_of_memory");
  expect(exceededCause({ ...exit, exceeded: "cpu" }, EXITED, DEFAULT_LIMITS)?.code).toBe(
    "deadline_exceeded",
  );
  expect(exceededCause(exit, { kind: "returned", value: 1 }, DEFAULT_LIMITS)).toBeUndefined();
  expect(exceededCause(EXIT, EXITED, DEFAULT_LIMITS)).toBeUndefined();
});

test("the sandbox's count of usage comes before the runtime's", () => {
  const measured = { cpuMs: 2.00049, maxRssBytes: 20 };
  expect(usageOf(0, { cpuMs: 1, maxRssBytes: null }, measured)).toMatchObject({
    cpuMs: 1,
    maxRssBytes: 20,
  });
  expect(usageOf(0, undefined, measured).cpuMs).toBe(2);
  expect(usageOf(0)).toMatchObject({ cpuMs: null, maxRssBytes: null });
});
