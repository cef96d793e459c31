/**
 * The first process of a container gets the processes that children leave behind. Node reaps only
 * what it started itself, so a member does not run as that process.
 */
import { accessSync, constants } from "node:fs";

const SHELL = "/bin/sh";

/**
 * Runs the arguments as a child, passes signals on, and ends with the child's exit code. The shell
 * reaps every process while it waits. A signal interrupts the wait; 127 says that the child's
 * status was read before.
 */
const SCRIPT = `
"$@" <&0 &
child=$!
for name in TERM INT HUP QUIT USR1 USR2; do
  trap "signalled=1; kill -$name $child 2>/dev/null" $name
done
code=0
while :; do
  signalled=
  wait "$child"
  status=$?
  [ "$status" = 127 ] || code=$status
  [ -n "$signalled" ] || exit "$code"
done`;

/** Why this process leaves zombies, and what helps; undefined where it does not. */
export function firstProcessTrouble(pid = process.pid): string | undefined {
  return pid === 1 && process.platform === "linux"
    ? "this is the first process of its container and cannot reap what children leave behind: " +
        "start it under an init, such as tini or docker run --init"
    : undefined;
}

/**
 * Starts this program again as a child of a shell, where it is the first process of a container.
 * The shell takes this process's place, so the call returns only where there is nothing to do or no
 * shell.
 *
 * @param env the environment of the program that starts.
 */
export function leaveFirstProcess(env: Readonly<Record<string, string | undefined>>): void {
  if (firstProcessTrouble() === undefined || process.execve === undefined) return;
  try {
    accessSync(SHELL, constants.X_OK);
  } catch {
    return;
  }
  const { execPath, execArgv, argv } = process;
  const program = [execPath, ...execArgv, ...argv.slice(1)];
  // Node says that this function is experimental.
  process.removeAllListeners("warning");
  process.execve(SHELL, ["sh", "-c", SCRIPT, "dpool", ...program], env);
}
