/** Reads reports of runners, which a function may have forged. */
import { describe, expect, test } from "vitest";
import type { FunctionError } from "../../openapi/errors.ts";
import type { Job } from "../../server/runtimes/functions/messages.ts";
import {
  outcomeOfReport,
  outcomeWithoutReport,
  readReport,
} from "../../server/runtimes/functions/report.ts";

const job: Job = {
  kind: "job",
  args: [],
  encoding: "json",
  context: { member: "m1", pool: "pipeline", childId: "m1.1", deadline: null },
  env: {},
  marker: "secret",
};
const report = {
  kind: "returned",
  value: 1,
  cpuMs: 2,
  maxRssBytes: 3,
  marker: "secret",
  clean: true,
} as const;
const read = (line: unknown) => readReport({ line: JSON.stringify(line) }, job);

describe("a line", () => {
  test("with the job's marker is its report", () => {
    expect(read(report)).toEqual(report);
  });

  test.each([
    ["another marker", { ...report, marker: "guessed" }],
    ["no marker", { ...report, marker: undefined }],
    ["another kind", { ...report, kind: "exited" }],
    ["negative usage", { ...report, cpuMs: -1 }],
    ["an error that is not one", { ...report, kind: "threw", error: 7, detail: "x" }],
    ["a list", []],
  ])("with %s is malformed", (_, line) => {
    expect(read(line)).toBe("malformed");
  });

  test("that is not JSON is malformed", () => {
    expect(readReport({ line: "nonsense" }, job)).toBe("malformed");
  });

  test("that is too long stays so", () => {
    expect(readReport("too long", job)).toBe("too long");
  });
});

describe("an outcome", () => {
  test("has the value and the usage, without the marker", () => {
    expect(outcomeOfReport(report, "json")).toEqual({
      kind: "returned",
      value: 1,
      usage: { cpuMs: 2, maxRssBytes: 3 },
    });
  });

  test("names the encoding of a value by devalue", () => {
    expect(outcomeOfReport(report, "devalue")).toMatchObject({ encoding: "devalue" });
  });

  test("has an error with those behind it, within bounds", () => {
    let error: FunctionError = { name: "E", message: "0", errors: [] };
    for (let level = 1; level < 100; level++)
      error = { name: "E", message: `${level}`, stack: "s".repeat(9_000), cause: error };
    const many = Array.from({ length: 10_000 }, () => error);
    const { value: _, ...rest } = { ...report, kind: "threw" as const, detail: "E: all" };
    const outcome = outcomeOfReport({ ...rest, error: { ...error, errors: many } }, "json");
    const text = JSON.stringify(outcome);
    expect(outcome).toMatchObject({ kind: "threw", error: { message: "99" } });
    expect(outcome).toMatchObject({ detail: expect.stringMatching(/^E: all.*; caused by E: 98/) });
    expect([text.match(/"name"/g)?.length, text.length < 45_000]).toEqual([5, true]);
  });

  test("of a malformed report is a crash; of one too long, or nested too deep, an error", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 5_000; level++) deep = [deep];
    expect(outcomeOfReport("malformed", "json")).toMatchObject({ kind: "crashed" });
    expect(outcomeOfReport("too long", "json")).toMatchObject({ kind: "threw" });
    expect(outcomeOfReport({ ...report, value: deep }, "json")).toMatchObject({ kind: "threw" });
  });

  test.each([
    ["exited with code 5", { exitCode: 5, signal: null, started: true }, "crashed"],
    ["was ended by SIGKILL", { exitCode: 137, signal: "SIGKILL", started: true }, "crashed"],
    [
      "the sandbox failed",
      { exitCode: 1, signal: null, started: false, trouble: "no message" },
      "unavailable",
    ],
  ] as const)("without a report: %s", (detail, exit, kind) => {
    expect(outcomeWithoutReport({ ...exit, exceeded: undefined, usage: undefined })).toMatchObject({
      kind,
      detail: expect.stringContaining(detail),
    });
  });
});
