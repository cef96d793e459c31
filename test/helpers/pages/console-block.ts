/** A console block: commands behind `$ `, each with the output that the page promises. */

export interface Command {
  /** The command line, with the lines that continue it. */
  readonly text: string;
  /** The promised output; `…` stands for anything. */
  readonly output: string;
}

/** @throws {Error} for a block that does not begin with a command. */
export function parseCommands(text: string): Command[] {
  const commands: { text: string; output: string }[] = [];
  let continues = false;
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const current = commands.at(-1);
    if (line.startsWith("$ ") && !continues) commands.push({ text: line.slice(2), output: "" });
    else if (!current) throw new Error(`expected a command behind "$ "; got ${line}`);
    else if (continues) current.text += `\n${line}`;
    else current.output += `${line}\n`;
    continues = (line.startsWith("$ ") || continues) && line.endsWith("\\");
  }
  return commands;
}

const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/** Whether the output is what the page promises. Blank lines at the end do not count. */
export function matches(output: string, promised: string): boolean {
  const rows = promised.trimEnd().split("\n");
  const pattern = rows
    .map((row) => (row === "…" ? "(?:.*\n)*" : `${row.split("…").map(escaped).join(".*")}\n`))
    .join("");
  return new RegExp(`^${pattern}$`).test(`${output.trimEnd()}\n`);
}
