#!/usr/bin/env node
/** The command line: `distributed-pool`, for short `dpool`. */
import { messageOf, PoolError } from "../../openapi/errors.ts";
import manifest from "../../package.json" with { type: "json" };
import { ASKING, type Command } from "./command-table.ts";
import { help } from "./help.ts";
import { askingOptionsOf } from "./options/asking.ts";
import { isCommand, type OptionsOf, parse } from "./parse.ts";
import { FAILED, problemText } from "./problem-text.ts";
import { exitCodeOf } from "./terminal/signals.ts";
import { UsageError } from "./usage-error.ts";

/** 2: a mistake at the command line. */
const USAGE = 2;

/** The commands of an operator load all of a member's options; those that ask a member do not. */
async function optionsFor(command: Command | undefined): Promise<OptionsOf> {
  const isAsking = command === undefined || ASKING.some((name) => name === command);
  return isAsking ? askingOptionsOf : (await import("./command-options.ts")).optionsOf;
}

/** Finds the program of a command. A command loads no program of another kind. */
async function programOf(command: Command) {
  switch (command) {
    case "serve":
    case "dev":
      return (await import("./commands/serve.ts")).serve;
    case "check-config":
      return (await import("./commands/check-config.ts")).checkConfig;
    case "config-schema":
      return (await import("./commands/config-schema.ts")).printConfigSchema;
    case "token":
      return (await import("./commands/token.ts")).token;
    default:
      return (await import("./commands/asking.ts")).ASK[command];
  }
}

async function main(): Promise<number> {
  if (process.argv[2] === "--version") {
    process.stdout.write(`${manifest.version}\n`);
    return 0;
  }
  try {
    const argv = process.argv.slice(2);
    const optionsOf = await optionsFor(argv.slice(0, 2).find(isCommand));
    const parsed = parse(argv, process.env, optionsOf);
    if ("help" in parsed) {
      process.stdout.write(help(parsed.help, optionsOf));
      return 0;
    }
    const run = await programOf(parsed.command);
    return await run(parsed, process.env);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`dpool: ${error.message}\n`);
      return USAGE;
    }
    if (error instanceof PoolError) {
      process.stderr.write(problemText(error.problem));
      return FAILED;
    }
    throw error;
  }
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may leave: `dpool ps | head`.
  if (error.code === "EPIPE") process.exit(exitCodeOf("SIGPIPE"));
  process.stderr.write(`dpool: cannot write to stdout: ${messageOf(error)}\n`);
  process.exit(FAILED);
});
process.exitCode = await main();
