#!/usr/bin/env node
/** The command line: `distributed-pool`, for short `dpool`. */
import { messageOf } from "../../openapi/errors.ts";
import manifest from "../../package.json" with { type: "json" };
import { FAILED } from "./output/problem-text.ts";
import { exitCodeOf } from "./terminal/signals.ts";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may leave: `dpool ps | head`.
  if (error.code === "EPIPE") process.exit(exitCodeOf("SIGPIPE"));
  process.stderr.write(`dpool: cannot write to stdout: ${messageOf(error)}\n`);
  process.exit(FAILED);
});
if (process.argv[2] === "--version") process.stdout.write(`${manifest.version}\n`);
else process.exitCode = await (await import("./run.ts")).run();
