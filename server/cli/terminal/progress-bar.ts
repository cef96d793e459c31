/** Draws a child's progress as the last line of a terminal, below all other output. */
import type { Progress } from "../../../openapi/events.ts";

const BAR_COLUMNS = 20;
/** 80 columns for a terminal that does not tell its width. */
const USUAL_COLUMNS = 80;

/** Progress as a line of at most `columns` columns. Pure. */
export function progressBarOf({ done, total, message }: Progress, columns: number): string {
  const part = total === undefined ? undefined : total === 0 ? 1 : Math.min(1, done / total);
  const full = "#".repeat(Math.floor((part ?? 0) * BAR_COLUMNS));
  const bar =
    part === undefined
      ? String(done)
      : `[${full.padEnd(BAR_COLUMNS, "-")}] ${Math.floor(part * 100)}% ${done}/${total}`;
  return cut(message ? `${bar} ${message}` : bar, columns);
}

/** The beginning of a text that fits into `columns`. From Hangul on, a character may take two. */
function cut(text: string, columns: number): string {
  let line = "";
  let used = 0;
  for (const char of text) {
    used += (char.codePointAt(0) as number) < 0x1100 ? 1 : 2;
    if (used > columns) break;
    line += char;
  }
  return line;
}

type Terminal = Pick<NodeJS.WriteStream, "isTTY" | "columns" | "write">;

export class ProgressBar {
  readonly #terminal: Terminal;
  #progress: Progress | undefined;
  #shown = false;
  #atStart = true;

  /** @param terminal shows the bar. A stream that is no terminal gets nothing. */
  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(progress: Progress): void {
    this.#progress = progress;
    this.#draw();
  }

  /** Removes the bar before other output is written. */
  clear(): void {
    if (this.#shown) this.#terminal.write(this.#blank);
    this.#shown = false;
  }

  /**
   * Draws the bar again after other output.
   *
   * @param atStart whether the terminal's last line has ended, because the bar would overwrite an
   *   unfinished one. Default: as before.
   */
  restore(atStart = this.#atStart): void {
    this.#atStart = atStart;
    this.#draw();
  }

  get #columns(): number {
    // Some terminals begin a new line after the last column.
    return (this.#terminal.columns || USUAL_COLUMNS) - 1;
  }

  get #blank(): string {
    return `\r${" ".repeat(this.#columns)}\r`;
  }

  #draw(): void {
    if (!this.#terminal.isTTY || !this.#atStart || !this.#progress) return;
    this.#terminal.write(this.#blank + progressBarOf(this.#progress, this.#columns));
    this.#shown = true;
  }
}
