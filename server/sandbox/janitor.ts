/** Cleans up after a sandbox, also when the server was killed: a shell of its own that waits for the end of its stdin. */
import { spawn } from "node:child_process";

/** For each group folder: kill what is in the children's groups, remove them and it; some seconds long, then give up. Then the private folders. */
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
# A program that the server had started may still be writing there.
until rm -rf -- "$@" || [ $n -ge 100 ]; do
  n=$((n + 1))
  sleep 0.05
done
`;
/** The script gives up by itself before. */
const CLEAN_TIMEOUT_MS = 10_000;

export class Janitor {
  readonly #ended: Promise<void>;
  readonly #dismiss: () => void;

  /**
   * @param groups folders of control groups, in the paths of which is no white space.
   * @param folders private folders, removed with what is in them.
   */
  constructor(groups: readonly string[], folders: readonly string[]) {
    const shell = spawn("sh", ["-c", SCRIPT, "dpool-janitor", groups.join(" "), ...folders], {
      // A group of its own: what ends the server's group, such as Ctrl-C, leaves it to its work.
      detached: true,
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
      stdio: ["pipe", "ignore", "ignore"],
    });
    shell.stdin?.on("error", () => {});
    shell.unref();
    (shell.stdin as unknown as { unref(): void }).unref();
    this.#ended = new Promise((resolve) =>
      shell.once("exit", () => resolve()).once("error", () => resolve()),
    );
    this.#dismiss = () => {
      shell.ref();
      shell.stdin?.end();
      const timer = setTimeout(() => shell.kill("SIGKILL"), CLEAN_TIMEOUT_MS);
      void this.#ended.then(() => clearTimeout(timer));
    };
  }

  /** Cleans up now. Resolves when it is done. */
  clean(): Promise<void> {
    this.#dismiss();
    return this.#ended;
  }
}
