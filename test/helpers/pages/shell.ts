/** Runs the commands of a console block in one bash and compares their output. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { within } from "../wait.ts";
import { type Command, matches } from "./console-block.ts";

const COMMAND_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 15_000;
/** ASCII's record separator, which no command of a page prints. */
const MARK = "\x1e";

export interface Session {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** The page and line, for messages. */
  readonly label: string;
}

/** Ends a shell and all that it started: TERM first, so that members drain. Idempotent. */
export async function endShell(shell: ChildProcess): Promise<void> {
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(-(shell.pid as number), name);
    } catch {
      // The group has ended.
    }
  };
  if (shell.exitCode === null && shell.signalCode === null) {
    const ended = once(shell, "exit");
    signal("SIGTERM");
    await within("the end of a page's servers", END_TIMEOUT_MS, ended).catch(() => {});
  }
  signal("SIGKILL");
}

/** The script reports each command's exit code behind a mark, on the same pipe as its output. */
function scriptOf(commands: readonly Command[], withStderr: boolean): string {
  const report = `{ __code=$?; printf '\\036%s\\n' "$__code"; (exit "$__code"); }`;
  return [withStderr ? "exec 2>&1" : "", ...commands.flatMap(({ text }) => [text, report])].join(
    "\n",
  );
}

interface Running {
  readonly shell: ChildProcess;
  readonly output: string;
  /** What came on stderr, where that is not part of the output. */
  readonly log: string;
  /** Waits until `done` holds of the output. @throws {Error} when it does not in time. */
  until(what: string, done: (output: string) => boolean): Promise<void>;
}

function start(commands: readonly Command[], { cwd, env }: Session, withStderr: boolean): Running {
  const script = scriptOf(commands, withStderr);
  const shell = spawn("bash", ["--noprofile", "--norc", "-c", script], {
    cwd,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  shell.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const killAtExit = () => process.kill(-(shell.pid as number), "SIGKILL");
  process.once("exit", killAtExit);
  shell.once("exit", () => process.off("exit", killAtExit));
  let output = "";
  let changed = Promise.withResolvers<void>();
  const notify = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  let closed = false;
  shell.once("close", () => {
    closed = true;
    notify();
  });
  shell.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    notify();
  });
  const until: Running["until"] = (what, done) =>
    within(
      what,
      COMMAND_TIMEOUT_MS,
      (async () => {
        while (!done(output)) {
          if (closed) throw new Error(`${what}: the shell ended`);
          await changed.promise;
        }
      })(),
    );
  return {
    shell,
    until,
    get output() {
      return output;
    },
    get log() {
      return log;
    },
  };
}

function mismatch(label: string, command: Command, output: string): Error {
  return new Error(
    `${label}: $ ${command.text}\nexpected:\n${command.output}got:\n${output.trimEnd()}`,
  );
}

/** The output of each command so far, and its exit code once it has ended. */
function results(output: string): { text: string; code?: number }[] {
  const [first = "", ...others] = output.split(MARK);
  const found: { text: string; code?: number }[] = [{ text: first }];
  for (const part of others) {
    const end = part.indexOf("\n");
    if (end < 0) break;
    (found.at(-1) as { code?: number }).code = Number(part.slice(0, end));
    found.push({ text: part.slice(end + 1) });
  }
  return found;
}

/**
 * Runs all commands to their end. A command that fails must be followed by `$ echo $?`, so that the
 * page shows the failure.
 *
 * @throws {Error} for other output than the page promises, or a failure that it does not show.
 */
export async function runBlock(commands: readonly Command[], session: Session): Promise<void> {
  const running = start(commands, session, true);
  try {
    for (const [index, command] of commands.entries()) {
      const label = `${session.label}: $ ${command.text}`;
      await running
        .until(label, (output) => results(output)[index]?.code !== undefined)
        .catch((error: Error) => {
          throw new Error(`${error.message}\n${running.output}`);
        });
      const { text, code } = results(running.output)[index] as { text: string; code: number };
      if (!matches(text, command.output)) throw mismatch(session.label, command, text);
      if (code !== 0 && commands[index + 1]?.text !== "echo $?")
        throw new Error(`${label}\nexpected exit code 0; got ${code}`);
    }
  } finally {
    await endShell(running.shell);
  }
}

/**
 * Runs a block whose last command stays up. Resolves once its stdout is what the page promises; its
 * log on stderr does not count.
 */
export async function startServers(
  commands: readonly Command[],
  session: Session,
): Promise<ChildProcess> {
  const running = start(commands, session, false);
  const last = commands.at(-1) as Command;
  const lastText = () => results(running.output)[commands.length - 1]?.text ?? "";
  try {
    await running.until(`${session.label}: $ ${last.text}`, () => matches(lastText(), last.output));
    for (const [index, command] of commands.slice(0, -1).entries()) {
      const { text = "", code } = results(running.output)[index] ?? {};
      if (code !== 0 || !matches(text, command.output))
        throw mismatch(session.label, command, text);
    }
    return running.shell;
  } catch (error) {
    await endShell(running.shell);
    throw new Error(`${(error as Error).message}\n${running.output}${running.log}`, {
      cause: error,
    });
  }
}
