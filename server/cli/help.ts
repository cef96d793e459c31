/** Help texts, from the tables of commands and options. */
import type { Option } from "../member/options/option.ts";
import { COMMANDS, type Command } from "./command-table.ts";
import { HELP } from "./options/asking.ts";
import { flagOf, variableOf } from "./options/values.ts";
import type { OptionsOf } from "./parse.ts";

function column(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}

/** The help text of a command, or of all commands. */
export function help(command: Command | undefined, optionsOf: OptionsOf): string {
  if (command === undefined) return overview();
  const { usage, summary } = COMMANDS[command];
  const rows = [...optionsOf(command)].map(
    ([key, option]) => [flags(key, option), `${textOf(option)} [${variableOf(key)}]`] as const,
  );
  return `dpool ${usage}\n\n${summary}\n\n${column([...rows, [flags("help", HELP), HELP.doc]])}\n`;
}

function overview(): string {
  const rows = Object.values(COMMANDS).map(
    ({ usage, summary }) => [usage.replace(" [options]", ""), summary] as const,
  );
  return `dpool: run a piece of work on the least loaded machine of a named pool.

${column(rows)}

  dpool COMMAND --help tells a command's options. dpool --version tells the version.
  Each option can also be set by a variable: --port by DPOOL_PORT.

Try it, in two terminals:
  dpool dev --pool pipeline=5
  dpool call pipeline -- uname -a

Exit codes: the child's own for call, attach and logs -f (128 + n when signal n ended it); \
125 when the pool failed or refused; 2 for a mistake here.
`;
}

function flags(key: string, { short, value }: Option): string {
  return `${short ? `-${short}, ` : ""}--${flagOf(key)}${value ? ` ${value}` : ""}`;
}

function textOf(option: Option): string {
  const otherwise = option.otherwise ?? option.default;
  return otherwise === undefined ? option.doc : `${option.doc} Default: ${otherwise}.`;
}
