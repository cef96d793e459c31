/** Help texts, from the tables of commands and options. */
import type { Option } from "../../member/options/option.ts";
import { COMMANDS, type Command } from "../command-table.ts";
import { HELP } from "../options/asking.ts";
import { flagOf, variableOf } from "../options/values.ts";
import type { OptionsOf } from "../parse.ts";
import { twoColumns, wrapped } from "./wrap.ts";

/**
 * The help text of a command, or of all commands.
 *
 * @param width the columns of the terminal. Default: no limit.
 */
export function help(command: Command | undefined, optionsOf: OptionsOf, width?: number): string {
  if (command === undefined) return overview(width);
  const { usage, summary } = COMMANDS[command];
  const rows = [...optionsOf(command)].map(
    ([key, option]) => [flags(key, option), `${textOf(option)} [${variableOf(key)}]`] as const,
  );
  const columns = twoColumns([...rows, [flags("help", HELP), HELP.doc]], width);
  return `dpool ${usage}\n\n${paragraph(summary, width)}\n\n${columns}\n`;
}

const PURPOSE = "dpool: run a piece of work on the least loaded machine of a named pool.";
const MORE =
  "dpool COMMAND --help tells a command's options. dpool --version tells the version. " +
  "Each option can also be set by a variable: --port by DPOOL_PORT.";
const EXIT_CODES =
  "Exit codes: the child's own for call, run, attach and logs -f (128 + n when signal n ended " +
  "it); 1 when an input of map failed, or a check of doctor; 125 when the pool failed or " +
  "refused; 2 for a mistake here.";

const paragraph = (text: string, width = Infinity) => wrapped(text, width).join("\n");

function overview(width?: number): string {
  const rows = Object.values(COMMANDS).map(
    ({ usage, summary }) => [usage.replace(" [options]", ""), summary] as const,
  );
  return `${paragraph(PURPOSE, width)}

${twoColumns(rows, width)}

${paragraph(MORE, width)}

Try it, in two terminals:
  dpool dev --pool pipeline=5
  dpool call pipeline -- uname -a

${paragraph(EXIT_CODES, width)}
`;
}

/** The flag of an option as help texts show it, such as `-f, --follow` or `--port PORT`. */
export function flags(key: string, { short, value }: Option): string {
  return `${short ? `-${short}, ` : ""}--${flagOf(key)}${value ? ` ${value}` : ""}`;
}

/** The text of an option, with its default. */
export function textOf(option: Option): string {
  const otherwise = option.otherwise ?? option.default;
  return otherwise === undefined ? option.doc : `${option.doc} Default: ${otherwise}.`;
}
