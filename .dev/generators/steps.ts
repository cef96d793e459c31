/** Commands of a generator: each with a deadline, and all of its output in a log. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";

const STEP_MS = 600_000;
const TAIL_LINES = 30;

/** A program, its arguments, and what of its surroundings differs. */
export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
}

/** Where commands run, with which environment, and where their output goes. */
export interface Place {
  readonly folder: string;
  readonly log: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Shows the end of a log. */
function tailOf(log: string): string {
  return readFileSync(log, "utf8").trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
}

/**
 * Runs a command, and ends its whole process group after ten minutes.
 *
 * @throws {Error} with the end of the log, when it fails or does not end in time.
 */
export async function step({ argv, env }: Command, place: Place): Promise<void> {
  const [program, ...rest] = argv;
  const file = openSync(place.log, "a");
  const child = spawn(program, rest, {
    cwd: place.folder,
    env: { ...process.env, ...place.env, ...env },
    detached: true,
    stdio: ["ignore", file, file],
  });
  closeSync(file);
  const ended = Promise.withResolvers<string>();
  child.once("error", ({ message }) => ended.resolve(message));
  child.once("exit", (code, signal) =>
    ended.resolve(code === 0 ? "" : `ended by ${signal ?? code}`),
  );
  const deadline = setTimeout(() => {
    ended.resolve(`did not end in ${STEP_MS} ms`);
    if (child.pid) process.kill(-child.pid, "SIGKILL");
  }, STEP_MS);
  const failure = await ended.promise;
  clearTimeout(deadline);
  if (failure) throw new Error(`${argv.join(" ")}: ${failure}\n${tailOf(place.log)}`);
}

/** Runs a command and gives the lines of its output. */
export async function linesOf(command: Command, place: Place): Promise<string[]> {
  const before = readFileSync(place.log).length;
  await step(command, place);
  return readFileSync(place.log).subarray(before).toString().split("\n");
}
