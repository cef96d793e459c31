/**
 * The options of the commands that ask a member, one entry each. They load the small form of zod
 * alone, so that a command begins soon.
 */
import * as z from "zod/mini";
import { CHILD_STATUSES } from "../../../openapi/names.ts";
import {
  DAY_MS,
  DEFAULT_DEADLINE_MS,
  DEFAULT_PORT,
  WEEK_MS,
} from "../../member/options/constants.ts";
import type { Option } from "../../member/options/option.ts";
import { ASKING, type Command, PLACING } from "../command-table.ts";

export interface CliOption extends Option {
  readonly commands: readonly Command[];
}

/** The commands that take a child spec, and a command behind `--`. */
export const SPEC = ["call", "place"] as const;

/** A list of texts: the option can be repeated. */
const TEXTS = z.array(z.string());
const SWITCH = z.boolean();

function whole(min: number, max: number) {
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

export const ASKING_OPTIONS = {
  follow: {
    short: "f",
    doc: "Follow the child until it ends.",
    schema: SWITCH,
    commands: ["logs"],
  },
  end: {
    doc: "Close the child's input afterwards.",
    schema: SWITCH,
    commands: ["stdin"],
  },
  graceMs: {
    value: "MS",
    doc: "Milliseconds between TERM and KILL.",
    otherwise: "the member's",
    schema: whole(0, DAY_MS),
    commands: ["stop"],
  },
  status: {
    value: CHILD_STATUSES.join("|"),
    doc: "Only children with this status.",
    schema: z.enum(CHILD_STATUSES),
    commands: ["ps"],
  },
  url: {
    value: "URL",
    doc: "A member to ask; any one will do.",
    otherwise: `http://127.0.0.1:${DEFAULT_PORT}`,
    commands: ASKING,
  },
  token: {
    value: "TOKEN",
    doc:
      "The token to show. Better in the variable: " +
      "other users of this machine can see a command's arguments.",
    commands: ASKING,
  },
  ca: {
    value: "FILE",
    doc: "The authority of the members' certificates (PEM).",
    otherwise: "the well-known ones",
    commands: ASKING,
  },
  cert: {
    value: "FILE",
    doc: "A client certificate (PEM), with --key, for members that require one.",
    commands: ASKING,
  },
  key: {
    value: "FILE",
    doc: "The client certificate's key (PEM).",
    commands: ASKING,
  },
  insecure: {
    doc: "Send the token over http beyond loopback too, where others can read it.",
    schema: SWITCH,
    commands: ASKING,
  },
  memberDomain: {
    value: "DOMAIN",
    doc: "With --consul: a member NAME has to show a certificate for NAME.DOMAIN.",
    otherwise: "distributed-pool",
    commands: PLACING,
  },
  consul: {
    value: "ADDRESS",
    doc:
      "A Consul agent, such as http://127.0.0.1:8500. CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, " +
      "CONSUL_CACERT and the rest of that family are honoured.",
    otherwise: "CONSUL_HTTP_ADDR; without it the command asks --url",
    commands: PLACING,
  },
  json: {
    value: "SPEC",
    doc:
      'The child spec as JSON, such as \'{"function":{"source":"(a,b)=>a+b","args":[1,2]}}\'; ' +
      "instead of a command, or beside it.",
    commands: SPEC,
  },
  task: {
    value: "NAME",
    doc: "Run this task of the members instead of a command.",
    commands: SPEC,
  },
  args: {
    value: "JSON",
    doc: "The task's arguments, such as '[1, \"two\"]'.",
    otherwise: "none",
    schema: jsonList,
    commands: SPEC,
  },
  stdin: {
    value: "FILE",
    doc:
      "A file for the child's standard input; - for this command's own. " +
      "A call streams it while its child reads, and stops when the child ends.",
    commands: SPEC,
  },
  tty: {
    short: "t",
    doc:
      "Give the command a terminal like this one. `call` passes each key on, and stops the child " +
      "when it goes; `attach` is for a placed child. Ctrl-^ three times leaves.",
    schema: SWITCH,
    commands: SPEC,
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
    commands: SPEC,
  },
  env: {
    value: "NAME=VALUE",
    doc: "A variable for the child. Repeatable.",
    schema: TEXTS,
    commands: SPEC,
  },
  label: {
    value: "NAME=VALUE",
    doc: "A label of the child; `ps` shows those with it. NAME alone: any value. Repeatable.",
    schema: TEXTS,
    commands: [...SPEC, "ps"],
  },
  waitMs: {
    value: "MS",
    doc: "Milliseconds to wait for a slot where all are taken.",
    otherwise: "0: refused at once",
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
    commands: ["call"],
  },
  link: {
    doc: "Stop the child when this command goes; --no-link lets it go on.",
    otherwise: "on where stderr is a terminal",
    schema: SWITCH,
    commands: ["call"],
  },
} as const satisfies Readonly<Record<string, CliOption>>;

/** Every command takes this one. */
export const HELP: Option = { short: "h", doc: "This text.", schema: SWITCH };

/** The options of a command that asks a member, by their keys. */
export function askingOptionsOf(command: Command): ReadonlyMap<string, Option> {
  return new Map(
    Object.entries<CliOption>(ASKING_OPTIONS).filter(([, { commands }]) =>
      commands.includes(command),
    ),
  );
}
