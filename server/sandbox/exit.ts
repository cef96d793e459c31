/** How a process tree ended: its exit code, and a bound on the wait for it. */
import { constants } from "node:os";
import { within } from "../../sdk/typescript/time/within.ts";
import type { Exit, SandboxedProcess } from "./sandbox.ts";

/** Signals by number. The first of several names counts, such as SIGABRT before SIGIOT. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    .toReversed()
    .map(([name, number]) => [number, name as NodeJS.Signals]),
);

/** The name of a signal by its number. Signals without a name count as SIGKILL. */
export function signalName(number: number): NodeJS.Signals {
  return SIGNAL_NAMES.get(number) ?? "SIGKILL";
}

/**
 * The program's own exit: shells and bubblewrap report a death by signal n as exit code 128 + n.
 */
export function exitOf(code: number | null, signal: NodeJS.Signals | null) {
  if (signal !== null) return { exitCode: 128 + constants.signals[signal], signal };
  const exitCode = code ?? 1;
  return { exitCode, signal: exitCode > 128 ? (SIGNAL_NAMES.get(exitCode - 128) ?? null) : null };
}

/** Waits for a process to exit. Kills it after `ms` milliseconds. */
export async function exitWithin(
  ms: number,
  process: Pick<SandboxedProcess, "exited" | "kill">,
): Promise<Exit> {
  const exit = await within(ms, process.exited);
  if (exit !== undefined) return exit;
  process.kill();
  return process.exited;
}
