/** Finds out whether a program works inside a pool's sandbox. */
import type { Confinement, ReadOnlyBind } from "../../sandbox/confinement.ts";
import { exitWithin } from "../../sandbox/exit.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";

/** A program that takes longer to answer counts as missing. */
const PROBE_TIMEOUT_MS = 10_000;
/** Answers of this process by program and confinement: the machine does not change meanwhile. */
const answers = new Map<string, Promise<boolean>>();

/**
 * Whether a command line exits with 0 in a sandbox.
 *
 * @param program the file of the program, where the sandbox's system does not have it.
 * @throws {PoolError} `sandbox_unavailable`.
 */
export function works(
  { sandbox, confinement }: { readonly sandbox: Sandbox; readonly confinement: Confinement },
  argv: readonly string[],
  program?: ReadOnlyBind,
): Promise<boolean> {
  const key = JSON.stringify([argv, program?.from, sandbox.level, confinement]);
  let answer = answers.get(key);
  if (!answer) {
    const readOnly = program ? [program] : [];
    const probe = { argv, env: {}, readOnly, channel: false, stdin: false };
    answer = sandbox.launch(probe, confinement).then(async (process) => {
      process.stdout.resume();
      process.stderr.resume();
      const { exitCode } = await exitWithin(PROBE_TIMEOUT_MS, process);
      return exitCode === 0;
    });
    answers.set(key, answer);
    answer.catch(() => answers.delete(key));
  }
  return answer;
}
