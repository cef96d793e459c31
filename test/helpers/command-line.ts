/** The built command line as a process: `dpool` with arguments, its input and its output. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { cleanEnvironment } from "./processes.ts";
import { SANDBOX_OPTION } from "./sandbox.ts";

/** The entry of the built package. */
export const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const TIMEOUT_MS = 30_000;

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `dpool` to its end. Variables of the person who runs the tests do not reach it. */
export function dpool(
  args: readonly string[],
  { input = "", env = {}, node = process.execPath } = {},
): Promise<Ran> {
  const variables = { ...cleanEnvironment(), DPOOL_SANDBOX: SANDBOX_OPTION, ...env };
  return new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, env: variables, maxBuffer: 16 * 1024 * 1024 };
    const child = execFile(node, [CLI, ...args], options, (error, stdout, stderr) => {
      if (error?.killed) reject(new Error(`dpool ${args.join(" ")} did not end: ${stderr}`));
      else resolve({ code: child.exitCode, stdout, stderr });
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}
