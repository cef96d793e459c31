/** Starts the shortest program in a pool's sandbox, to see whether children can be started. */
import { messageOf } from "../../openapi/errors.ts";
import type { Confinement } from "./confinement.ts";
import { exitWithin } from "./exit.ts";
import type { Sandbox } from "./sandbox.ts";

const PROBE_TIMEOUT_MS = 10_000;

/** @throws {Error} the reason why the program could not be started. */
export async function probeStart(sandbox: Sandbox, confinement: Confinement): Promise<void> {
  const argv = ["/bin/sh", "-c", ":"];
  const program = { argv, env: {}, readOnly: [], channel: false, stdin: false };
  let child: Awaited<ReturnType<Sandbox["launch"]>>;
  try {
    child = await sandbox.launch(program, confinement);
  } catch (error) {
    throw new Error(messageOf((error as Error).cause ?? error), { cause: error });
  }
  child.stdout.resume();
  child.stderr.resume();
  const { started, exitCode, trouble } = await exitWithin(PROBE_TIMEOUT_MS, child);
  if (!started || exitCode !== 0) throw new Error(trouble ?? `exit code ${exitCode}`);
}
