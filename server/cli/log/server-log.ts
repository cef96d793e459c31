/** The log of `dpool serve` and `dpool dev`: lines on stderr, for people or as JSON. */
import { isatty } from "node:tty";
import { type Logger, pino, stdTimeFunctions } from "pino";
import type { Audit } from "../../access/audit.ts";
import type { ChildLog } from "../../supervisor/observed/child-log.ts";
import { DEFAULT_LEVEL, type LogLevel } from "../options/log.ts";
import type { Parsed } from "../parse.ts";
import { type AuditSink, lineOf, openAuditFile } from "./audit-file.ts";
import { BoundedStderr } from "./bounded-stderr.ts";
import { textOf } from "./text.ts";
import { TurnBatch } from "./turn-batch.ts";

export class ServerLog {
  readonly #stderr: BoundedStderr;
  readonly #pino: Logger;
  /** The level of the lines of children. */
  readonly #childLevel: LogLevel;
  #isText = true;
  #showsCommands = false;
  #audit: AuditSink | undefined;

  /** @param line the command line without its file; {@link configure} takes both. */
  constructor(line: Parsed) {
    this.#stderr = new BoundedStderr(process.stderr, (dropped) =>
      this.log("warn", `log: ${dropped} lines were dropped, because their reader was too slow`),
    );
    const batch = new TurnBatch((lines) => this.#stderr.write(lines));
    this.#pino = pino(
      {
        base: null,
        timestamp: stdTimeFunctions.isoTime,
        formatters: { level: (level) => ({ level }) },
      },
      { write: (json: string) => batch.add(this.#isText ? textOf(json) : json) },
    );
    // Somebody who tries calls in a terminal sees there what they do.
    this.#childLevel = line.command === "dev" ? "debug" : "info";
    this.#take(line);
  }

  /**
   * Takes the options of a command line and its file.
   *
   * @throws {UsageError} for an audit file that cannot be appended to.
   */
  configure(line: Parsed): void {
    this.#take(line);
    const { auditFile } = line.values;
    if (auditFile === "-") this.#audit = { write: (text) => this.#stderr.write(text), reopen() {} };
    else if (auditFile !== undefined)
      this.#audit = openAuditFile(auditFile, (message) => this.log("error", message));
  }

  #take({ values }: Parsed): void {
    const { logFormat = "auto", logLevel = DEFAULT_LEVEL } = values;
    this.#isText = logFormat === "text" || (logFormat === "auto" && isatty(2));
    this.#showsCommands = values.logCommands === true;
    this.level = logLevel;
  }

  get level(): LogLevel {
    return this.#pino.level as LogLevel;
  }

  set level(level: LogLevel) {
    this.#pino.level = level;
  }

  log = (level: LogLevel, message: string): void => this.#pino[level](message);

  /** Writes one line for the start of a child and one for its end. */
  childLog: ChildLog = ({ what, command, ...facts }) => {
    const shown = this.#showsCommands && command ? { ...facts, command } : facts;
    this.#pino[this.#childLevel](shown, `child ${what}`);
  };

  /** The record of what callers did; undefined where no file is named. */
  get audit(): Audit | undefined {
    return this.#audit && this.#record;
  }

  #record: Audit = (record) => this.#audit?.write(lineOf(record));

  /** Opens the audit file again, which another program may have moved. */
  reopenAudit(): void {
    this.#audit?.reopen();
  }
}
