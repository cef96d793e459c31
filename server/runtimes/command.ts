/** The runtime of commands, which runs a program without a runner. */
import type { Program, SandboxedProcess } from "../sandbox/sandbox.ts";
import type { StartQueue } from "./functions/start-queue.ts";
import type { PreparedSandboxes } from "./prepared-sandboxes.ts";
import {
  contextEnvironment,
  notStarted,
  type Outcome,
  type ProcessSetup,
  type Runtime,
  type StartedWork,
  type Work,
} from "./runtime.ts";

/** The kind of most terminals of today. It has colours, and Debian's base system describes it. */
const TERMINAL_ENVIRONMENT = { TERM: "xterm-256color" };

/** Runs each command in a sandbox that was made beforehand, or else in a new one. */
export class CommandRuntime implements Runtime {
  readonly #prepared: PreparedSandboxes;
  readonly #startQueue: StartQueue;

  constructor(prepared: PreparedSandboxes, startQueue: StartQueue) {
    this.#prepared = prepared;
    this.#startQueue = startQueue;
  }

  async start(work: Work, setup: ProcessSetup): Promise<StartedWork> {
    const { sandbox, confinement } = setup;
    const program = programOf(work, setup);
    const process =
      this.#prepared.run(program, confinement) ??
      (await this.#startQueue.urgent(() => sandbox.launch(program, confinement)));
    return { process, outcome: outcomeOf(process) };
  }
}

function programOf(work: Work, { files, artifacts }: ProcessSetup): Program {
  const { spec } = work;
  return {
    argv: spec.command ?? [],
    env: { ...(spec.tty && TERMINAL_ENVIRONMENT), ...spec.env, ...contextEnvironment(work) },
    readOnly: [],
    channel: false,
    progress: true,
    stdin: spec.stdin !== undefined,
    terminal: spec.tty,
    files,
    artifacts,
  };
}

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
