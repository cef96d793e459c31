import { COMMANDS, type Command, OPTIONS, type Option, variableOf } from "./options.ts";

export function column(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
/** The help text of a command, or of all. */
export function help(command?: Command): string {
  if (command === undefined) {
    const commands = column(
      Object.values(COMMANDS).map(
        ({ usage, summary }) => [usage.replace(" [options]", ""), summary] as const,
      ),
    );
    return `dpool: run a piece of work on the least loaded machine of a named pool.

${commands}

  dpool COMMAND --help tells a command's options. Each option can also be set by a variable: --port by DPOOL_PORT.

Try it, in two terminals:
  dpool dev --pool pipeline=5
  dpool call pipeline -- uname -a

Exit codes of call and logs -f: the child's own (128 + n when signal n ended it); 125 when the pool failed; 2 for a mistake here.
`;
  }
  const { usage, summary, options } = COMMANDS[command];
  const rows = [...options, "help" as const].map((name) => {
    const option: Option<unknown> = OPTIONS[name];
    const flag = `${option.short ? `-${option.short}, ` : ""}--${name}${option.value ? ` ${option.value}` : ""}`;
    return [
      flag,
      `${option.doc}${option.otherwise ? ` Default: ${option.otherwise}.` : ""}${name === "help" ? "" : ` [${variableOf(name)}]`}`,
    ] as const;
  });
  return `dpool ${usage}\n\n${summary}\n\n${column(rows)}\n`;
}
