#!/usr/bin/env node
/** The command line: `distributed-pool`, for short `dpool`. */
import { messageOf, PoolError } from "../../openapi/errors.ts";
import manifest from "../../package.json" with { type: "json" };
import type { Command } from "./command-table.ts";
import { attach, call, place } from "./commands/call.ts";
import { checkConfig } from "./commands/check-config.ts";
import { logs, signal, stdin, stop } from "./commands/child.ts";
import { printConfigSchema } from "./commands/config-schema.ts";
import { withPools } from "./commands/connect.ts";
import { drain, members, ps } from "./commands/members.ts";
import { FAILED, problemText } from "./commands/print-events.ts";
import { serve } from "./commands/serve.ts";
import { token } from "./commands/token.ts";
import { help } from "./help.ts";
import { type Environment, type Parsed, parse } from "./parse.ts";
import { exitCodeOf } from "./terminal/signals.ts";
import { UsageError } from "./usage-error.ts";

/** 2: a mistake at the command line. */
const USAGE = 2;

/** Runs each command. Resolves with the exit code of the process. */
const RUN: Readonly<Record<Command, (parsed: Parsed, env: Environment) => Promise<number>>> = {
  serve,
  dev: serve,
  call: withPools(call),
  place: withPools(place),
  ps: withPools(ps),
  logs: withPools(logs),
  attach: withPools(attach),
  stop: withPools(stop),
  stdin: withPools(stdin),
  signal: withPools(signal),
  members: withPools(members),
  drain: withPools(drain),
  "check-config": checkConfig,
  "config-schema": printConfigSchema,
  token,
};

async function main(): Promise<number> {
  if (process.argv[2] === "--version") {
    process.stdout.write(`${manifest.version}\n`);
    return 0;
  }
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
