/** A command in a real terminal, as a person sees it. Python makes the terminal. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { cleanEnvironment } from "./processes.ts";
import { pythonMissing } from "./programs.ts";
import { within } from "./wait.ts";

const PROGRAM = fileURLToPath(new URL("../fixtures/terminal.py", import.meta.url));
const WAIT_MS = 20_000;

/** Why there is no terminal for a test; undefined where there is. */
export const terminalMissing = pythonMissing;

/** How a command in a terminal ended: its exit code, and whether the terminal is as before. */
export interface TerminalEnd {
  readonly code: number;
  readonly restored: boolean;
}

export class Terminal {
  /** Resolves when the command has ended. */
  readonly ended: Promise<TerminalEnd>;
  /** All that the terminal has shown. */
  output = "";
  readonly #child;
  /** Where the search for the next text begins. */
  #at = 0;
  #wake = () => {};

  constructor(command: readonly string[], { rows = 30, columns = 100, env = {} } = {}) {
    const child = spawn("/usr/bin/python3", [PROGRAM, String(rows), String(columns), ...command], {
      env: { ...cleanEnvironment(), TERM: "xterm-256color", ...env },
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    this.#child = child;
    child.stdin.on("error", () => {});
    child.stdout.setEncoding("utf8").on("data", (shown: string) => {
      this.output += shown;
      this.#wake();
    });
    this.ended = Promise.all([text(child.stderr), once(child, "close")]).then(
      ([report]) => JSON.parse(report) as TerminalEnd,
    );
    void this.ended.catch(() => {});
  }

  type(keys: string): void {
    this.#ask({ type: keys });
  }

  resize(rows: number, columns: number): void {
    this.#ask({ resize: [rows, columns] });
  }

  signal(name: NodeJS.Signals): void {
    this.#ask({ signal: name });
  }

  /** Waits until the terminal shows a text, behind the one for which it waited before. */
  async shows(expected: RegExp | string): Promise<void> {
    const pattern =
      typeof expected === "string" ? RegExp(expected.replace(/[^\w\s]/g, "\\$&")) : expected;
    const found = async () => {
      for (;;) {
        const match = pattern.exec(this.output.slice(this.#at));
        if (match) {
          this.#at += match.index + match[0].length;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    await within(`the terminal to show ${pattern}`, WAIT_MS, found()).catch((error) => {
      throw new Error(`${error.message}; it shows ${JSON.stringify(this.output.slice(this.#at))}`);
    });
  }

  /** Waits for the command's end. */
  end(): Promise<TerminalEnd> {
    return within("the command to end", WAIT_MS, this.ended);
  }

  #ask(request: object): void {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
  }
}
