/** The options of the log, and of the record of what callers did. */
import { z } from "zod";
import type { CliOption } from "./spec.ts";

/** The levels of the log, the most lines first. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const DEFAULT_LEVEL: LogLevel = "info";

const commands = ["serve", "dev", "check-config"] as const;

export const LOG_OPTIONS = {
  logFormat: {
    value: "auto|text|json",
    doc: "The form of the log on stderr. `auto`: text on a terminal, JSON lines otherwise.",
    schema: z.enum(["auto", "text", "json"]),
    default: "auto",
    commands,
  },
  logLevel: {
    value: LOG_LEVELS.join("|"),
    doc:
      "The least level of the lines in the log. The start and the end of each child are `info` " +
      "lines of `serve`, and `debug` lines of `dev`.",
    schema: z.enum(LOG_LEVELS),
    default: DEFAULT_LEVEL,
    reload: true,
    commands,
  },
  logCommands: {
    doc: "Show the arguments of commands in the log. They may hold secrets.",
    schema: z.boolean(),
    commands,
  },
  auditFile: {
    value: "PATH",
    doc:
      "Append a line of JSON for each request that starts, stops, signals, feeds or drains: who, " +
      "from where, what, and the answer. Opened again on SIGHUP; - for stderr.",
    commands,
  },
} as const satisfies Readonly<Record<string, CliOption>>;
