/** Chooses what a child gets at each descriptor. Pure. */
import {
  ARTIFACTS_FD,
  BEGIN_FD,
  CHANNEL_FD,
  ENVIRONMENT_FD,
  FILES_FD,
  LISTENER_FD,
  STATUS_FD,
  STDERR_FD,
  TERMINAL_FD,
} from "./fds.ts";
import type { Stdio } from "./inherited-descriptors.ts";
import type { Pipe } from "./pipes.ts";
import type { Program } from "./sandbox.ts";

/** The parts of a container that its program does not get as such. */
interface Wanted {
  readonly inputs?: ReadonlyMap<number, Buffer> | undefined;
  readonly status: boolean;
  readonly proxy?: unknown;
}

/**
 * The child's descriptors, by number.
 *
 * @param pipes those of the program, by name.
 */
export function stdioOf(
  program: Program,
  { status, inputs, proxy }: Wanted,
  pipes: { readonly [name: string]: Pipe | undefined },
): Stdio {
  const { stdin, stdout, stderr, progress, artifacts, call } = pipes;
  const fdOf = (pipe: Pipe | undefined) => pipe?.childFd ?? "ignore";
  // Node takes an array with a gap for a shorter one.
  const stdio: Stdio = Array(ENVIRONMENT_FD + 1).fill("ignore");
  stdio[0] = fdOf(stdin);
  stdio[1] = fdOf(stdout);
  stdio[2] = status ? "pipe" : fdOf(stderr);
  stdio[STDERR_FD] = status ? fdOf(stderr) : "ignore";
  stdio[CHANNEL_FD] = program.channel ? "pipe" : fdOf(progress);
  for (const fd of inputs?.keys() ?? []) stdio[fd] = "pipe";
  stdio[FILES_FD] = program.files ? "pipe" : fdOf(call);
  stdio[ARTIFACTS_FD] = fdOf(artifacts);
  stdio[STATUS_FD] = status ? "pipe" : "ignore";
  stdio[BEGIN_FD] = status ? "pipe" : "ignore";
  stdio[TERMINAL_FD] = program.terminal ? "pipe" : "ignore";
  stdio[LISTENER_FD] = proxy ? "ipc" : "ignore";
  return stdio;
}
