/** The runtime of commands, which runs a program without a runner. */
import type { SandboxedProcess } from "../sandbox/sandbox.ts";
import { contextEnvironment, notStarted, type Outcome, type Runtime } from "./runtime.ts";

/** The kind of most terminals of today. It has colours, and Debian's base system describes it. */
const TERMINAL_ENVIRONMENT = { TERM: "xterm-256color" };

export const commandRuntime: Runtime = {
  async start({ spec, context }, { sandbox, confinement, files, artifacts }) {
    const program = {
      argv: spec.command ?? [],
      env: { ...(spec.tty && TERMINAL_ENVIRONMENT), ...spec.env, ...contextEnvironment(context) },
      readOnly: [],
      channel: false,
      progress: true,
      stdin: spec.stdin !== undefined,
      terminal: spec.tty,
      files,
      artifacts,
    };
    const process = await sandbox.launch(program, confinement);
    return { process, outcome: outcomeOf(process) };
  },
};

async function outcomeOf(process: SandboxedProcess): Promise<Outcome> {
  const exit = await process.exited;
  if (!exit.started) return notStarted(exit);
  if (exit.signal === null) return { kind: "exited", exit };
  return {
    kind: "crashed",
    detail: `the command was ended by ${exit.signal} (exit code ${exit.exitCode})`,
    exitCode: exit.exitCode,
  };
}
