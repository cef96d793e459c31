/** The wait until a server has made its preparations, such as warm processes. */
import { setTimeout as pause } from "node:timers/promises";
import { childrenCpuMsOf, cpuMsOf, runnersOf } from "./processes.ts";

const STEP_MS = 50;
/** Less than a fifth of a processor is quiet: a process that starts takes more. */
const QUIET_MS = STEP_MS / 5;
/** 3 quiet steps in a row. */
const STEPS = 3;
const TIMEOUT_MS = 60_000;

/**
 * Waits until a process and everything below it are quiet.
 *
 * @param runners how many processes wait by then. A busy machine keeps those from starting that
 *   would show that there is more to do. Default: none.
 * @returns the milliseconds to the end of the last step that was not quiet, from the call on.
 * @throws after 60 seconds.
 */
export async function untilQuiet(pid: number, runners = 0): Promise<number> {
  const used = () => cpuMsOf(pid) + childrenCpuMsOf(pid);
  const begin = performance.now();
  let busyUntil = begin;
  let before = used();
  for (let quiet = 0; quiet < STEPS; ) {
    await pause(STEP_MS);
    const now = used();
    const isQuiet = now - before <= QUIET_MS && (runners === 0 || runnersOf(pid) >= runners);
    quiet = isQuiet ? quiet + 1 : 0;
    before = now;
    if (quiet === 0) busyUntil = performance.now();
    if (performance.now() - begin > TIMEOUT_MS)
      throw new Error(`process ${pid} was not quiet within ${TIMEOUT_MS} ms`);
  }
  return busyUntil - begin;
}
