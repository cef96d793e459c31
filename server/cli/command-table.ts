/** Every command: its usage and its summary. */
export const COMMANDS = {
  serve: {
    usage: "serve --pool NAME=MAX [options]",
    summary: "Run a member, registered with Consul.",
  },
  dev: {
    usage: "dev [options]",
    summary: "Run several members in this process, without Consul.",
  },
  call: {
    usage: "call POOL [options] [-- COMMAND ARG...]",
    summary: "Run a command on the least loaded member; its output, its exit code.",
  },
  run: {
    usage: "run POOL [options] [-- COMMAND ARG...]",
    summary: "Like call, but prints nothing until the end; then the whole result.",
  },
  map: {
    usage: "map POOL [options] [-- COMMAND ARG...]",
    summary:
      "Run a command or a function for each line of stdin; {} in the command is the line, " +
      "or it is the last argument.",
  },
  place: {
    usage: "place POOL [options] [-- COMMAND ARG...]",
    summary: "Place a child that lives on its own; prints its id.",
  },
  ps: {
    usage: "ps [POOL] [options]",
    summary: "The children of a pool, or of all pools.",
  },
  logs: {
    usage: "logs [-f] ID [options]",
    summary: "A child's output so far; with -f until it ends, and its exit code.",
  },
  attach: {
    usage: "attach ID [options]",
    summary: "Be the terminal of a child that was placed with -t; Ctrl-^ three times leaves it.",
  },
  stop: {
    usage: "stop ID [options]",
    summary: "Stop a child: TERM, grace, KILL. Waits until it is gone.",
  },
  stdin: {
    usage: "stdin ID [options]",
    summary: "Feed a placed child's input with this command's.",
  },
  signal: {
    usage: "signal ID SIGNAL [options]",
    summary: "Send a signal, such as TERM or USR1, to a child's program.",
  },
  members: {
    usage: "members [POOL] [options]",
    summary: "The members of a pool, or of all pools, with their load.",
  },
  ui: {
    usage: "ui [options]",
    summary: "Print the URL of the dashboard, and open it where there is a desktop.",
  },
  drain: {
    usage: "drain [options]",
    summary: "Let the member at --url admit nothing more, finish, leave, and end.",
  },
  doctor: {
    usage: "doctor [POOL] [options]",
    summary:
      "All that is wrong with this machine for the member of these options, each with its cure; " +
      "with --url or POOL, with that member.",
  },
  init: {
    usage: "init [options]",
    summary: "Write a first configuration file for serve, and a token file where asked for.",
  },
  "check-config": {
    usage: "check-config FILE [options]",
    summary:
      "Whether serve would take this configuration file, with these options beside it; " +
      "what it would serve, or every mistake.",
  },
  "config-schema": {
    usage: "config-schema",
    summary: "The JSON Schema of the configuration file, for editors.",
  },
  token: {
    usage: "token NAME [options]",
    summary: "A new token (stderr), and its line for a token file (stdout).",
  },
  completion: {
    usage: "completion bash|zsh|fish",
    summary: "A script for the shell that completes commands, flags, pools and ids of children.",
  },
};
export type Command = keyof typeof COMMANDS;

const ON_CHILD = ["logs", "attach", "stop", "stdin", "signal"] as const;
/** The commands that ask a member, or find one through Consul. */
export const PLACING = ["call", "run", "map", "place", "ps", "members", "ui", ...ON_CHILD] as const;
/** The commands that ask a member. */
export const ASKING = [...PLACING, "drain"] as const;
/** The commands with the options of a client. */
export const CLIENTS = [...ASKING, "doctor"] as const;
export type Asking = (typeof ASKING)[number];
