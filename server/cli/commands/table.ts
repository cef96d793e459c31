/** Every command: its usage, its summary and the function that runs it. */
import type { Command } from "../options.ts";
import type { Environment, Parsed } from "../parse.ts";
import { call, place } from "./call.ts";
import { checkConfig } from "./check-config.ts";
import { logs, signal, stdin, stop } from "./child.ts";
import { printConfigSchema } from "./config-schema.ts";
import { drain } from "./drain.ts";
import { members, ps } from "./list.ts";
import { dev, serve } from "./serve.ts";
import { token } from "./token.ts";

interface CommandEntry {
  readonly usage: string;
  readonly summary: string;
  /** Resolves with the exit code of the process. */
  run(parsed: Parsed, env: Environment): Promise<number>;
}

export const COMMANDS: Readonly<Record<Command, CommandEntry>> = {
  serve: {
    usage: "serve --pool NAME=MAX [options]",
    summary: "Run a member, registered with Consul.",
    run: serve,
  },
  dev: {
    usage: "dev [options]",
    summary: "Run several members in this process, without Consul.",
    run: dev,
  },
  call: {
    usage: "call POOL [options] [-- COMMAND ARG...]",
    summary: "Run a command on the least loaded member; its output, its exit code.",
    run: call,
  },
  place: {
    usage: "place POOL [options] [-- COMMAND ARG...]",
    summary: "Place a child that lives on its own; prints its id.",
    run: place,
  },
  ps: {
    usage: "ps [POOL] [options]",
    summary: "The children of a pool, or of all pools.",
    run: ps,
  },
  logs: {
    usage: "logs [-f] ID [options]",
    summary: "A child's output so far; with -f until it ends, and its exit code.",
    run: logs,
  },
  stop: {
    usage: "stop ID [options]",
    summary: "Stop a child: TERM, grace, KILL. Waits until it is gone.",
    run: stop,
  },
  stdin: {
    usage: "stdin ID [options]",
    summary: "Feed a placed child's input with this command's.",
    run: stdin,
  },
  signal: {
    usage: "signal ID SIGNAL [options]",
    summary: "Send a signal, such as SIGUSR1, to a child's program.",
    run: signal,
  },
  members: {
    usage: "members [POOL] [options]",
    summary: "The members of a pool, or of all pools, with their load.",
    run: members,
  },
  drain: {
    usage: "drain [options]",
    summary: "Let the member at --url admit nothing more, finish, leave, and end.",
    run: drain,
  },
  "check-config": {
    usage: "check-config FILE [options]",
    summary:
      "Whether serve would take this configuration file, with these options beside it; " +
      "what it would serve, or every mistake.",
    run: checkConfig,
  },
  "config-schema": {
    usage: "config-schema",
    summary: "The JSON Schema of the configuration file, for editors.",
    run: printConfigSchema,
  },
  token: {
    usage: "token NAME [options]",
    summary: "A new token (stderr), and its line for a token file (stdout).",
    run: token,
  },
};
