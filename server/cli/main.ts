#!/usr/bin/env node
/** The command line: `distributed-pool`, for short `dpool`. */
import { PoolError } from "../../openapi/errors.ts";
import { FAILED, problemText } from "./commands/print-events.ts";
import { COMMANDS } from "./commands/table.ts";
import { help } from "./help.ts";
import { parse } from "./parse.ts";
import { UsageError } from "./usage-error.ts";

/** 2: a mistake at the command line. */
const USAGE = 2;

async function main(): Promise<number> {
  try {
    const parsed = parse(process.argv.slice(2), process.env);
    if ("help" in parsed) {
      process.stdout.write(help(parsed.help));
      return 0;
    }
    return await COMMANDS[parsed.command].run(parsed, process.env);
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

// The reader of a pipe may leave: `dpool ps | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) =>
  process.exit(error.code === "EPIPE" ? 0 : 1),
);
process.exitCode = await main();
