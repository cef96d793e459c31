/** Text in the width of the terminal that shows it. */

/** The columns of a terminal; undefined for a file or a pipe, whose reader has no width. */
export const widthOf = ({ isTTY, columns }: NodeJS.WriteStream): number | undefined =>
  isTTY && columns > 0 ? columns : undefined;

/** 24 columns at least for a text beside a column of names: less would be hard to read. */
const MIN_TEXT = 24;

/** The lines of a text, broken between words so that each has at most `width` columns. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/**
 * Rows of a name and a text, with the texts in one column. Where the terminal has no room for both,
 * each text stands below its name.
 *
 * @param width the columns of the terminal. Default: no limit.
 */
export function twoColumns(rows: readonly (readonly [string, string])[], width = Infinity): string {
  const names = Math.max(...rows.map(([name]) => name.length));
  const isBeside = 4 + names + MIN_TEXT <= width;
  const indent = isBeside ? 4 + names : 6;
  return rows
    .map(([name, text]) => {
      const lines = wrapped(text, width - indent).map((line) => " ".repeat(indent) + line);
      return isBeside
        ? `  ${name.padEnd(names)}  ${lines.join("\n").trimStart()}`
        : `  ${name}\n${lines.join("\n")}`;
    })
    .join("\n");
}
