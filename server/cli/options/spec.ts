/** The options of a child spec: those of call, run, map and place. */
import * as z from "zod/mini";
import { DAY_MS, DEFAULT_DEADLINE_MS, WEEK_MS } from "../../member/options/constants.ts";
import type { Option } from "../../member/options/option.ts";
import type { Command } from "../command-table.ts";

export interface CliOption extends Option {
  readonly commands: readonly Command[];
}

/** The commands that take a child spec, and a command behind `--`. */
export const SPEC = ["call", "run", "map", "place"] as const;
/** The commands whose spec is that of one child. */
const ONE_CHILD = ["call", "run", "place"] as const;
/** The commands that wait for the end of one child. */
const FOREGROUND = ["call", "run"] as const;

/** 500 inputs at a time: a member admits 1,000 streams for each token by default. */
const MAX_JOBS = 500;

/** A list of texts: the option can be repeated. */
export const TEXTS = z.array(z.string());
export const SWITCH = z.boolean();

export function whole(min: number, max: number) {
  const error = `expected a whole number from ${min} to ${max}`;
  return z.int(error).check(z.gte(min, error), z.lte(max, error));
}

/** A JSON array. */
const jsonList = z.pipe(
  z.string(),
  z.transform((text: string, context): unknown[] => {
    try {
      const value: unknown = JSON.parse(text);
      if (Array.isArray(value)) return value;
    } catch {
      // The message below covers it.
    }
    context.issues.push({
      code: "custom",
      message: 'expected a JSON array, such as [1, "two"]',
      input: text,
    });
    return z.NEVER;
  }),
);

export const SPEC_OPTIONS = {
  spec: {
    value: "JSON",
    doc: 'The child spec, such as \'{"command":["date"]}\'; instead of a command, or beside it.',
    commands: SPEC,
  },
  function: {
    value: "SOURCE",
    doc: "Run this function instead of a command, such as '(a, b) => a + b'.",
    commands: SPEC,
  },
  runtime: {
    value: "NAME",
    doc: "The runtime of --function, such as python.",
    otherwise: "node",
    commands: SPEC,
  },
  task: {
    value: "NAME",
    doc: "Run this task of the members instead of a command.",
    commands: SPEC,
  },
  args: {
    value: "JSON",
    doc: "The arguments of the function or the task, such as '[1, \"two\"]'.",
    otherwise: "none",
    schema: jsonList,
    commands: ONE_CHILD,
  },
  input: {
    value: "lines|json",
    doc:
      "Whether each line of stdin is a text, or a JSON value (JSON Lines). A command gets a " +
      "value that is no text as JSON.",
    schema: z.enum(["lines", "json"]),
    default: "lines",
    commands: ["map"],
  },
  jobs: {
    short: "j",
    value: "N",
    doc: "Inputs at a time.",
    otherwise: "the slots of the pool",
    schema: whole(1, MAX_JOBS),
    commands: ["map"],
  },
  unordered: {
    doc: "Print results as they come, not in the order of the inputs.",
    schema: SWITCH,
    commands: ["map"],
  },
  failFast: {
    doc: "Stop at the first input that fails. Without it, the others go on.",
    schema: SWITCH,
    commands: ["map"],
  },
  stdin: {
    value: "FILE",
    doc:
      "A file for the child's standard input; - for this command's own. " +
      "A call streams it while its child reads, and stops when the child ends.",
    commands: ONE_CHILD,
  },
  tty: {
    short: "t",
    doc:
      "Give the command a terminal like this one. `call` passes each key on, and stops the child " +
      "when it goes; `attach` is for a placed child. Ctrl-^ three times leaves.",
    schema: SWITCH,
    commands: ["call", "place"],
  },
  file: {
    value: "PATH[=FILE]",
    doc: "A file for the workspace: its path there, and here where that differs. Repeatable.",
    schema: TEXTS,
    commands: SPEC,
  },
  files: {
    value: "DIR|FILE",
    doc: "Files for the workspace with their permissions: a folder, or a tar or zip archive.",
    commands: SPEC,
  },
  artifact: {
    value: "PATTERN",
    doc: "Files that the child leaves and the member keeps, such as '*.png'. Repeatable.",
    schema: TEXTS,
    commands: ONE_CHILD,
  },
  env: {
    value: "NAME=VALUE",
    doc: "A variable for the child. Repeatable.",
    schema: TEXTS,
    commands: SPEC,
  },
  waitMs: {
    value: "MS",
    doc: "Milliseconds to wait for a slot where all are taken.",
    otherwise: "0: refused at once; 60000 for map",
    schema: whole(0, DAY_MS),
    commands: SPEC,
  },
  deadlineMs: {
    value: "MS",
    doc: "This child's deadline, in milliseconds.",
    otherwise: `the pool's; without it ${DEFAULT_DEADLINE_MS} for calls, none for placed children`,
    schema: whole(1, WEEK_MS),
    commands: SPEC,
  },
  idempotencyKey: {
    value: "KEY",
    doc: "A key that starts one child at most: with it, the same command again shows that child.",
    commands: SPEC,
  },
  notify: {
    value: "URL",
    doc: "A URL to which the member posts the ending, where the pool allows it.",
    commands: SPEC,
  },
  out: {
    value: "FOLDER",
    doc: "A folder of this machine for the files that --artifact selects.",
    commands: FOREGROUND,
  },
  link: {
    doc: "Stop the child when this command goes; --no-link lets it go on.",
    otherwise: "on where stderr is a terminal",
    schema: SWITCH,
    commands: FOREGROUND,
  },
} as const satisfies Readonly<Record<string, CliOption>>;
