/**
 * Sets the modes of the terminal in which this process runs, by `stty`. Node's own raw mode turns
 * a line feed into two characters, and moves the cursor of programs such as vim to the left.
 */
import { spawnSync } from "node:child_process";

/** 5 s: `stty` waits while the terminal's output is stopped. */
const TIMEOUT_MS = 5_000;

/**
 * Passes each key on as it is, and shows no key.
 *
 * @returns a function that restores the modes from before; undefined where stdin is no terminal.
 */
export function rawMode(): (() => void) | undefined {
  const before = stty("-g");
  if (before === undefined || stty("raw", "-echo") === undefined) return undefined;
  return () => stty(before);
}

/** The output of `stty`; undefined where it fails. */
function stty(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync("stty", args, {
    stdio: ["inherit", "pipe", "ignore"],
    encoding: "utf8",
    timeout: TIMEOUT_MS,
  });
  return status === 0 ? stdout.trim() : undefined;
}
