/** A driver as a process: it takes an operation a line, and answers with an outcome a line. */
import { type ChildProcess, spawn } from "node:child_process";
import { cleanEnvironment } from "../../../helpers/processes.ts";
import { within } from "../../../helpers/wait.ts";

/** 30 seconds for an operation: an SDK may try for 6 seconds to resume a stream. */
const OPERATION_MS = 30_000;
const EXIT_MS = 5_000;
/** 64 MiB: a driver writes no longer line. */
const MAX_LINE_CHARS = 67_108_864;

/** What became of an operation. */
export interface Outcome {
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly detail?: string };
}

export interface Program {
  readonly command: readonly string[];
  /** Further variables of its environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd: string;
}

/** The processes of drivers, which end with this one. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Driver {
  readonly #process: ChildProcess;
  readonly #exited: Promise<string>;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  #text = "";
  #log = "";
  #lastId = 0;

  constructor({ command: [file = "", ...args], env, cwd }: Program) {
    const child = spawn(file, args, { cwd, env: { ...cleanEnvironment(), ...env }, stdio: "pipe" });
    this.#process = child;
    child.stdin.on("error", () => {});
    child.stdout.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    child.stderr
      .setEncoding("utf8")
      .on("data", (text: string) => (this.#log = (this.#log + text).slice(-4_096)));
    running.add(child);
    this.#exited = new Promise<string>((resolve) => {
      child
        .once("exit", (code, signal) => resolve(`the driver ended: code ${code}, ${signal}`))
        .once("error", (error) => resolve(`the driver did not start: ${error.message}`));
    }).finally(() => running.delete(child));
  }

  /**
   * Asks for one operation.
   *
   * @throws when the driver ends, or does not answer in time.
   */
  async ask(op: string, args: object = {}): Promise<Outcome> {
    const id = ++this.#lastId;
    const answer = new Promise<Outcome>((resolve) => this.#waiting.set(id, resolve));
    const gone = this.#exited.then((how) => Promise.reject(new Error(how)));
    gone.catch(() => {});
    try {
      this.#process.stdin?.write(`${asciiJson({ id, op, args })}\n`);
      return await within(op, OPERATION_MS, Promise.race([answer, gone]));
    } catch (error) {
      throw new Error(`${(error as Error).message}; its log:\n${this.#log}`, { cause: error });
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Ends the process. A driver ends by itself at the end of its input. */
  async end(): Promise<void> {
    this.#process.stdin?.end();
    await within("the end of the driver", EXIT_MS, this.#exited).catch(() =>
      this.#process.kill("SIGKILL"),
    );
    await this.#exited;
  }

  /** Ends the process at once. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #read(text: string): void {
    this.#text += text;
    if (this.#text.length > MAX_LINE_CHARS) this.kill();
    for (let end = this.#text.indexOf("\n"); end >= 0; end = this.#text.indexOf("\n")) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      if (line.trim() === "") continue;
      try {
        const { id, ...outcome } = exactJson(line) as Outcome & { readonly id: number };
        this.#waiting.get(id)?.(outcome);
      } catch {
        this.#log += `expected a line of JSON; got ${line.slice(0, 200)}\n`;
      }
    }
  }
}

/** JSON in ASCII. `{ $number: "…" }` becomes that number, of any size. */
function asciiJson(value: unknown): string {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  const raw = (_: string, each: { readonly $number?: string } | null) =>
    each?.$number === undefined ? each : rawJSON(each.$number);
  return JSON.stringify(value, raw).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The value of a JSON text, with integers beyond 2^53 as they are written. */
function exactJson(text: string): unknown {
  const exact = (_: string, value: unknown, context?: { readonly source?: string }) => {
    if (typeof value !== "number" || !Number.isInteger(value) || Number.isSafeInteger(value))
      return value;
    const { source = "" } = context ?? {};
    return /^-?\d+$/.test(source) ? BigInt(source) : BigInt(value);
  };
  return JSON.parse(text, exact);
}
