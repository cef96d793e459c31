/**
 * The same attacks on a server that is not root, as most are. The server has its own control group,
 * and its children run as its own user.
 */
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openCheckout } from "../helpers/checkout.ts";
import { hostileMissing } from "../helpers/hostile.ts";
import { cleanEnvironment } from "../helpers/processes.ts";

const SCRIPT = ".dev/as-user.sh";
const CANNOT = 77;
const RUN_MS = 120_000;

const checkout = openCheckout();
afterAll(() => checkout.remove());

function missing(): string | undefined {
  if (hostileMissing !== undefined) return hostileMissing;
  const tried = spawnSync("sh", [SCRIPT, checkout.node, "--version"], {
    cwd: checkout.root,
    encoding: "utf8",
  });
  if (tried.status === CANNOT) return tried.stderr.trim();
  return tried.status === 0 ? undefined : `another user cannot run ${checkout.node}`;
}

const reason = missing();

describe.skipIf(reason)(`as an ordinary user${reason ? ` (skipped: ${reason})` : ""}`, () => {
  test("processes are confined as they are by root", { timeout: RUN_MS + 5_000 }, async () => {
    const vitest = join(checkout.root, "node_modules/vitest/vitest.mjs");
    const args = [
      SCRIPT,
      checkout.node,
      vitest,
      "run",
      "--configLoader",
      "native",
      "--config",
      "test/vitest.config.ts",
      "test/hostile/processes.test.ts",
    ];
    const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) => {
      const env = {
        ...Object.fromEntries(
          Object.entries(cleanEnvironment()).filter(([name]) => !name.startsWith("VITEST")),
        ),
        NO_COLOR: "1",
      };
      execFile("sh", args, { cwd: checkout.root, env, timeout: RUN_MS }, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, output: stdout + stderr }),
      );
    });
    expect(code, output).toBe(0);
    // The tests passed and were not skipped.
    expect(output).toMatch(/Tests {2}\d+ passed \(\d+\)/);
  });
});
