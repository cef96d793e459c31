/** The same attacks on a server that is no root, as most are run: it has a group of its own, and its children its own user. */
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { hostileMissing } from "../helpers/hostile.ts";
import { cleanEnvironment } from "../helpers/processes.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SCRIPT = ".dev/as-user.sh";
const CANNOT = 77;
const RUN_MS = 120_000;

function missing(): string | undefined {
  if (hostileMissing !== undefined) return hostileMissing;
  const tried = spawnSync("sh", [SCRIPT, process.execPath, "--version"], { cwd: ROOT, encoding: "utf8" });
  if (tried.status === CANNOT) return tried.stderr.trim();
  return tried.status === 0 ? undefined : `another user cannot run ${process.execPath}`;
}

const reason = missing();

describe.skipIf(reason)(`as an ordinary user${reason ? ` (skipped: ${reason})` : ""}`, () => {
  test("processes are held as they are by root", { timeout: RUN_MS + 5_000 }, async () => {
    const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
    const args = [SCRIPT, process.execPath, vitest, "run", "--configLoader", "native", "--config", "test/vitest.config.ts", "test/hostile/processes.test.ts"];
    const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) => {
      const env = { ...Object.fromEntries(Object.entries(cleanEnvironment()).filter(([name]) => !name.startsWith("VITEST"))), NO_COLOR: "1" };
      execFile("sh", args, { cwd: ROOT, env, timeout: RUN_MS }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stdout + stderr }));
    });
    expect(code, output).toBe(0);
    // Passed, not skipped.
    expect(output).toMatch(/Tests {2}\d+ passed \(\d+\)/);
  });
});
