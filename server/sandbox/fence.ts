/**
 * Fencing: ends a pool's children when their member has lost touch with its registry, so that a
 * caller who was told that the member is lost knows when they have ended.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SPAWNER_NAME } from "./spawner-script.ts";

/**
 * Kills process groups after some seconds. A member that is stopped runs no code of its own, but
 * this shell runs on. It kills only groups whose leader is still a child of the member or of its
 * spawner: a process that is not reaped keeps its id.
 */
const SCRIPT = `
member=$1; held=$2
sleep "$3"
for file in "$held"/*; do
  pid=\${file##*/}
  stat=$(cat "/proc/$pid/stat") || continue
  set -- \${stat##*) }
  [ "$3" = "$pid" ] || continue
  [ "$2" = "$member" ] || {
    stat=$(cat "/proc/$2/stat") || continue
    case $stat in *"(${SPAWNER_NAME})"*) ;; *) continue ;; esac
    set -- \${stat##*) }
    [ "$2" = "$member" ] || continue
  }
  kill -KILL "-$pid"
done
`;

/** 1 second: the member itself comes first, because it can tell the callers. */
const SHELL_LATER_MS = 1_000;

interface Started {
  readonly process: { readonly pid: number; readonly exited: Promise<unknown> };
}

export class Fence {
  readonly ms: number;
  /** Its files are named by the ids of the processes to kill. */
  readonly #folder: string;
  readonly #onUp: () => void;
  #passedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #shell: ChildProcess | undefined;
  /** Whether `onUp` was called, or need not be, since the last renewal. */
  #isRaised = true;
  #isClosed = false;
  #starts = 0;

  /**
   * A fence is up until the first {@link renew}.
   *
   * @param ms milliseconds without touch after which the fence goes up.
   * @param folder of this fence alone; it is made, and removed by `close`.
   * @param onUp is called when the fence goes up: it ends the children.
   */
  constructor(ms: number, folder: string, onUp: () => void) {
    this.ms = ms;
    this.#folder = folder;
    this.#onUp = onUp;
    mkdirSync(folder, { mode: 0o700 });
  }

  /** Whether nothing may run. It is exact also right after the process was stopped. */
  get isUp(): boolean {
    return this.#isRaised || performance.now() - this.#passedAt >= this.ms;
  }

  /**
   * Notes that the registry knows the member.
   *
   * @param atMs the time at which the member asked, of `performance.now()`: the registry's own time
   *   began no earlier.
   */
  renew(atMs: number): void {
    if (this.#isClosed) return;
    // The children of the time before have to end, although the timer did not come first.
    if (this.isUp) this.#raise();
    this.#passedAt = atMs;
    this.#isRaised = false;
    const restMs = Math.max(0, atMs + this.ms - performance.now());
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#raise(), restMs).unref();
    const before = this.#shell;
    this.#shell = this.#watch(restMs + SHELL_LATER_MS);
    end(before);
  }

  /**
   * Starts a process, and has it killed when the fence goes up. Its file is there before: where the
   * disk is full, nothing starts.
   *
   * @throws the error of the file, or of the start.
   */
  async held<S extends Started>(start: () => Promise<S>): Promise<S> {
    if (this.#isClosed) return start();
    let file = join(this.#folder, `start-${this.#starts++}`);
    const release = () => rmSync(file, { force: true });
    writeFileSync(file, "");
    try {
      const started = await start();
      const { pid, exited } = started.process;
      // A reload may have replaced the fence while the process was on its way.
      if (!this.#isClosed) {
        const own = join(this.#folder, String(pid));
        renameSync(file, own);
        file = own;
      }
      void exited.then(release);
      return started;
    } catch (error) {
      release();
      throw error;
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    end(this.#shell);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #raise(): void {
    if (this.#isRaised) return;
    this.#isRaised = true;
    this.#onUp();
  }

  #watch(ms: number): ChildProcess {
    const args = [String(process.pid), this.#folder, String(ms / 1_000)];
    const shell = spawn("sh", ["-c", SCRIPT, "dpool-fence", ...args], {
      // A session of its own: a signal to the server's process group does not reach it.
      detached: true,
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
      stdio: "ignore",
    });
    // Without a shell, the timer alone ends the children.
    shell.on("error", () => {});
    shell.unref();
    return shell;
  }
}

/** Ends the shell and its `sleep`, which are one process group. */
function end(shell: ChildProcess | undefined): void {
  if (shell?.pid === undefined || shell.exitCode !== null) return;
  try {
    process.kill(-shell.pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
