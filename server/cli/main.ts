#!/usr/bin/env node
/** The command line: `distributed-pool`, for short `dpool`. */
import { PoolError } from "../../openapi/errors.ts";
import { checkConfig } from "./check-config.ts";
import { help } from "./help.ts";
import { parse, UsageError } from "./options.ts";
import { call, drain, logs, members, place, ps, signal, stdin, stop } from "./pool-commands.ts";
import { dev, serve } from "./serve.ts";
import { token } from "./token.ts";

/** A mistake at the command line; the pool's own failures are {@link FAILED}. */
const USAGE = 2;
/** The pool failed, not the child: as other runners of commands have it. */
const FAILED = 125;

const RUN = {
  serve,
  dev,
  call,
  place,
  ps,
  logs,
  stop,
  stdin,
  signal,
  members,
  drain,
  "check-config": checkConfig,
  token,
};

async function main(): Promise<number> {
  try {
    const parsed = parse(process.argv.slice(2), process.env);
    if ("help" in parsed) {
      process.stdout.write(help(parsed.help));
      return 0;
    }
    return await RUN[parsed.command](parsed, process.env);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`dpool: ${error.message}\n`);
      return USAGE;
    }
    if (error instanceof PoolError) {
      const stack = error.problem.error?.stack;
      process.stderr.write(`dpool: ${error.code}: ${error.message}\n${stack ? `${stack}\n` : ""}`);
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
