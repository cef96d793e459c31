/** Shows for people what a child runs, cut to a bound. */

import type { ChildSpec } from "../../../openapi/schemas/spec.ts";
import type { ChildInfo } from "../../../openapi/schemas/state/children.ts";

/** The most characters of a name. */
const MAX_NAME = 128;
/** The most characters of a command, all its arguments together. */
const MAX_COMMAND = 1_024;
/** The most arguments of a command. */
const MAX_ARGUMENTS = 100;

const cut = (text: string, max: number) =>
  text.length > max ? `${text.slice(0, Math.max(0, max - 1)).toWellFormed()}…` : text;

/** The name of the work, and its command. */
export function shownWork({
  command,
  task,
  function: called,
}: Pick<ChildSpec, "command" | "task" | "function">): Pick<ChildInfo, "name" | "command"> {
  if (!command) return { name: cut(task?.name ?? called?.export ?? "function", MAX_NAME) };
  const [program = ""] = command;
  return {
    name: cut(program.slice(program.lastIndexOf("/") + 1), MAX_NAME),
    command: shownCommand(command),
  };
}

function shownCommand(command: readonly string[]): string[] {
  const shown: string[] = [];
  let left = MAX_COMMAND;
  for (const argument of command) {
    if (left <= 0 || shown.length === MAX_ARGUMENTS) return [...shown, "…"];
    shown.push(cut(argument, left));
    left -= argument.length;
  }
  return shown;
}
