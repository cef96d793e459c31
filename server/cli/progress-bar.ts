/** A bar of a child's progress: the last line of a terminal, out of the way of what else is written there. */
import type { Progress } from "../../openapi/events.ts";

const BAR_COLUMNS = 20;
/** Where a terminal does not tell how wide it is. */
const USUAL_COLUMNS = 80;

/** Progress as a line of at most so many columns. Pure. */
export function progressBarOf({ done, total, message }: Progress, columns: number): string {
  const part = total === undefined ? undefined : total === 0 ? 1 : Math.min(1, done / total);
  const full = "#".repeat(Math.floor((part ?? 0) * BAR_COLUMNS));
  const bar =
    part === undefined
      ? String(done)
      : `[${full.padEnd(BAR_COLUMNS, "-")}] ${Math.floor(part * 100)}% ${done}/${total}`;
  return cut(message ? `${bar} ${message}` : bar, columns);
}

/** The beginning of a text that takes at most so many columns; from Hangul on a character may take two. */
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

  /** @param terminal where it is drawn; nothing is where it is no terminal. */
  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(progress: Progress): void {
    this.#progress = progress;
    this.#draw();
  }

  /** Takes it away, for what else is to be written. */
  clear(): void {
    if (this.#shown) this.#terminal.write(this.#blank);
    this.#shown = false;
  }

  /** @param atStart whether the terminal's last line has ended; the bar would write over one that has not. Default: as before. */
  restore(atStart = this.#atStart): void {
    this.#atStart = atStart;
    this.#draw();
  }

  get #columns(): number {
    // In the last one some terminals begin a new line.
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
