/** A smoke run of the benchmarks: they run and report. What they measure is not looked at. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { consulMissing } from "../helpers/consul.ts";
import { cleanEnvironment } from "../helpers/processes.ts";

const SUITE = fileURLToPath(new URL("../bench/run.ts", import.meta.url));
const RUN_MS = 55_000;

interface Report {
  readonly sections: readonly {
    readonly name: string;
    readonly tables: readonly { readonly rows: readonly unknown[] }[];
    readonly notes?: readonly string[];
  }[];
}

const bench = async (...args: string[]) =>
  promisify(execFile)(process.execPath, [SUITE, ...args], {
    env: cleanEnvironment(),
    timeout: RUN_MS,
    killSignal: "SIGTERM",
  });

describe("the benchmarks", () => {
  test.skipIf(consulMissing !== undefined)("a smoke run reports every section", async () => {
    const { stdout } = await bench("--quick", "--json");
    const { sections } = JSON.parse(stdout) as Report;
    expect(sections.map(({ name }) => name)).toEqual(["calls", "starts", "cli", "simulation"]);
    // A subject that failed leaves a note.
    expect(sections.flatMap(({ notes = [] }) => notes)).toEqual([]);
    for (const { tables } of sections)
      expect(tables.map(({ rows }) => rows.length)).not.toContain(0);
  });

  test("an unknown name is refused with the names that there are", async () => {
    await expect(bench("--only", "nothing")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^expected one of calls, .*; got nothing\n$/),
    });
  });
});
