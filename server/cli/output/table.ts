/** A table of texts, in the width of the terminal that shows it. */
import { widthOf } from "./wrap.ts";
import { write } from "./write.ts";

type Row = readonly string[];

/** 2 columns between two cells. */
const GAP = "  ";
/** 6 columns at least for a cell that is cut. */
const MIN_CELL = 6;

/**
 * The lines of a table. Where the terminal has no room, the widest column is cut, again and again.
 *
 * @param width the columns of the terminal. Default: no limit.
 */
export function tableLines(rows: readonly Row[], width = Infinity): string[] {
  const [head = []] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const least = head.map((name) => Math.max(name.length, MIN_CELL));
  const total = () => widths.reduce((sum, each) => sum + each, GAP.length * (head.length - 1));
  while (total() > width) {
    const [widest] = widths
      .map((each, column) => ({ each, column }))
      .filter(({ each, column }) => each > (least[column] as number))
      .toSorted((a, b) => b.each - a.each);
    if (!widest) break;
    widths[widest.column] = widest.each - 1;
  }
  return rows.map((row) =>
    row
      .map((cell, column) => fitted(cell, widths[column] as number))
      .join(GAP)
      .trimEnd(),
  );
}

const fitted = (cell: string, width: number) =>
  cell.length <= width ? cell.padEnd(width) : `${cell.slice(0, width - 1)}…`;

/** Prints a table. Resolves with the exit code of the command. */
export async function printTable(head: Row, rows: readonly Row[]): Promise<number> {
  const lines = tableLines([head, ...rows], widthOf(process.stdout));
  await write(process.stdout, `${lines.join("\n")}\n`);
  return 0;
}
