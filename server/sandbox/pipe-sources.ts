/** Two ways to make pipes without pipe(2): named ones, and those of a shell's pipeline. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  openSync,
  readFileSync,
  readlinkSync,
  unlinkSync,
} from "node:fs";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";
import { within } from "../../sdk/typescript/time/within.ts";

/** A pipe that nobody uses yet. */
export interface PipeSource {
  /** The path at which both ends can be opened. */
  readonly path: string;
  /** Whether the path is still there. */
  readonly isThere: () => boolean;
  /** Removes the path. Open ends stay usable. */
  readonly release: () => void;
}

export type MakePipes = () => Promise<PipeSource[]>;

const run = promisify(execFile);
const NAMED_BATCH = 64;
/** Each pipe takes a descriptor of the server, and a short process when it is made. */
const ANONYMOUS_BATCH = 32;
const MAKE_TIMEOUT_MS = 5_000;
/** A child of another user may open `/dev/stdout` again. */
const MODE = 0o666;

/**
 * Makes named pipes, which are removed once they are open. A process that has one sees its former
 * path. On Linux, opening `/dev/stdin` would wait for a writer.
 */
export function namedPipes(folder: string): MakePipes {
  let made = 0;
  return async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const paths = Array.from({ length: NAMED_BATCH }, () => `${folder}/${made++}`);
    await run("mkfifo", ["-m", MODE.toString(8), ...paths], { timeout: MAKE_TIMEOUT_MS });
    return paths.map((path) => ({
      path,
      // A cleaner of temporary folders may have removed it.
      isThere: () => existsSync(path),
      release: () => unlinkSync(path),
    }));
  };
}

/**
 * The shell's processes pass a line along, so that each has its pipe when the last one prints it.
 * Each then waits for the end of the server's input.
 */
const WAIT = "read -r _ <&9";
const PIPELINE = `exec 9<&0; { echo; ${WAIT}; }${` | { read -r _; echo; ${WAIT}; }`.repeat(
  ANONYMOUS_BATCH,
)}`;

/** Makes pipes without a name, so that a process that has one sees no path of the host. */
export async function anonymousPipes(): Promise<PipeSource[]> {
  const shell = spawn("sh", ["-c", PIPELINE], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["pipe", "pipe", "ignore"],
  });
  // A shell that could not be started, for lack of descriptors, has no streams.
  await once(shell, "spawn");
  shell.stdin.on("error", () => {});
  try {
    await once(shell.stdout, "readable", { signal: AbortSignal.timeout(MAKE_TIMEOUT_MS) });
    shell.stdout.resume();
    const pids = readFileSync(`/proc/${shell.pid}/task/${shell.pid}/children`, "utf8").split(" ");
    const paths = pids.filter(Boolean).map((pid) => `/proc/${pid}/fd/1`);
    return sourcesOf(paths.filter((path) => readlinkSync(path).startsWith("pipe:")));
  } finally {
    shell.stdin.end();
    void within(MAKE_TIMEOUT_MS, once(shell, "exit")).then(() => shell.kill("SIGKILL"));
  }
}

/**
 * As many sources as there are descriptors for; at least one.
 *
 * @param paths of a descriptor of each pipe. They may go away afterwards.
 */
export function sourcesOf(paths: readonly string[]): PipeSource[] {
  const sources: PipeSource[] = [];
  for (const path of paths) {
    try {
      sources.push(sourceOf(path));
    } catch (error) {
      if (sources.length > 0) break;
      throw error;
    }
  }
  return sources;
}

/** Keeps a pipe open by one descriptor, at which both its ends can be opened. */
function sourceOf(path: string): PipeSource {
  const fd = openSync(path, constants.O_RDWR);
  fchmodSync(fd, MODE);
  return { path: `/proc/self/fd/${fd}`, isThere: () => true, release: () => closeSync(fd) };
}
