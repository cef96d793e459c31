/**
 * The screen of a terminal after some output: its lines, where a carriage return lets the next text
 * overwrite a line.
 */
export class Screen {
  readonly lines: string[] = [""];
  #column = 0;

  write(text: string): void {
    for (const char of text) {
      if (char === "\n") {
        this.lines.push("");
        this.#column = 0;
      } else if (char === "\r") this.#column = 0;
      else {
        const line = this.lines.at(-1) as string;
        this.lines[this.lines.length - 1] =
          line.slice(0, this.#column) + char + line.slice(this.#column + 1);
        this.#column += 1;
      }
    }
  }

  toString(): string {
    return this.lines.map((line) => line.trimEnd()).join("\n");
  }
}
