/**
 * Cleans up after a sandbox, also when the server was killed: a separate shell waits until its
 * stdin ends, which the kernel closes with the server.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { within } from "../../sdk/typescript/time/within.ts";

/**
 * Kills the processes in the children's groups and removes the groups. Gives up after some seconds.
 * Then removes the private folders.
 */
const SCRIPT = `
groups=$1; shift
read -r _
n=0
while [ $n -lt 100 ]; do
  left=
  for folder in $groups; do
    for procs in "$folder"/*/cgroup.procs; do
      [ -e "$procs" ] || continue
      while read -r pid; do kill -KILL "$pid"; done <"$procs"
      rmdir "\${procs%/*}" || left=1
    done
    rmdir "$folder" || [ ! -e "$folder" ] || left=1
  done
  [ "$left" ] || break
  n=$((n + 1))
  sleep 0.05
done
# A program that the server started may still be writing there.
until rm -rf -- "$@" || [ $n -ge 100 ]; do
  n=$((n + 1))
  sleep 0.05
done
`;
/** The script gives up earlier by itself. */
const CLEAN_TIMEOUT_MS = 10_000;

export class Janitor {
  readonly #shell: ChildProcess;
  readonly #ended: Promise<unknown>;

  /**
   * @param groups folders of control groups. Their paths contain no white space.
   * @param folders private folders, which are removed with their contents.
   */
  constructor(groups: readonly string[], folders: readonly string[]) {
    const shell = spawn("sh", ["-c", SCRIPT, "dpool-janitor", groups.join(" "), ...folders], {
      // A process group of its own: Ctrl-C ends the server's group, and the shell still cleans up.
      detached: true,
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
      stdio: ["pipe", "ignore", "ignore"],
    });
    shell.stdin?.on("error", () => {});
    shell.unref();
    (shell.stdin as Socket).unref();
    this.#shell = shell;
    this.#ended = once(shell, "exit").catch(() => undefined);
  }

  /** Cleans up now. Resolves when the shell has ended. */
  async clean(): Promise<void> {
    this.#shell.ref();
    this.#shell.stdin?.end();
    await within(CLEAN_TIMEOUT_MS, this.#ended);
    this.#shell.kill("SIGKILL");
    await this.#ended;
  }
}
