/** The options of commands, one entry each; the options of a member are in `member/`. */
import { z } from "zod";
import { ChildStatusSchema } from "../../openapi/schemas/resources.ts";
import { shown } from "../member/options/faults.ts";
import { type Option, whole } from "../member/options/option.ts";
import { MEMBER_OPTIONS } from "../member/options/table.ts";
import { DEFAULTS } from "../member/options.ts";
import type { Command } from "./command-table.ts";
import { TOKEN_OPTIONS } from "./commands/token-options.ts";

export interface CliOption extends Option {
  readonly commands: readonly Command[];
}

/** The commands that ask a member, or find one through Consul. */
const ON_CHILD = ["logs", "attach", "stop", "stdin", "signal"] as const;
const PLACING = ["call", "place", "ps", "members", ...ON_CHILD] as const;
const ASKING = [...PLACING, "drain"] as const;
/** The commands that take a child spec, and a command behind `--`. */
export const SPEC = ["call", "place"] as const;

const DAY_MS = 86_400_000;

const MAX_CHILDREN = 10_000;

/** `NAME=MAX`, or `NAME` with the default number of children. */
const poolFlag = z.string().transform((text, context): [name: string, maxChildren: number] => {
  const [name = "", max = String(DEFAULTS.maxChildren), ...rest] = text.split("=");
  if (name === "" || rest.length > 0) context.addIssue("expected NAME=MAX, such as pipeline=5");
  else if (!/^\d+$/.test(max) || Number(max) < 1 || Number(max) > MAX_CHILDREN)
    context.addIssue(`expected a whole number from 1 to ${MAX_CHILDREN}; got ${shown(max)}`);
  return [name, Number(max)];
});

/** A JSON array. */
const jsonList = z.string().transform((text, context): unknown[] => {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
  } catch {
    // The message below covers it.
  }
  context.addIssue('expected a JSON array, such as [1, "two"]');
  return z.NEVER;
});

export const CLI_OPTIONS = {
  dev: {
    doc: "Read the file as `dev` would, not as `serve`.",
    schema: z.boolean(),
    commands: ["check-config"],
  },
  members: {
    value: "N",
    doc: "How many members to run in this process.",
    schema: whole(1, 100),
    default: 3,
    commands: ["dev", "check-config"],
  },
  config: {
    value: "FILE",
    doc:
      "A YAML file: the words of the flags in camelCase, and pools with their limits and grants. " +
      "Flags and variables win over it.",
    commands: ["serve", "dev"],
  },
  pool: {
    value: "NAME=MAX",
    doc:
      "A pool to serve, and how many children at most at a time " +
      `(default ${DEFAULTS.maxChildren}). Repeatable.`,
    schema: z.array(poolFlag),
    reload: true,
    commands: ["serve", "dev", "check-config"],
  },
  follow: {
    short: "f",
    doc: "Follow the child until it ends.",
    schema: z.boolean(),
    commands: ["logs"],
  },
  end: {
    doc: "Close the child's input afterwards.",
    schema: z.boolean(),
    commands: ["stdin"],
  },
  graceMs: {
    value: "MS",
    doc: "Milliseconds between TERM and KILL.",
    otherwise: "the member's",
    schema: MEMBER_OPTIONS.graceMs.schema,
    commands: ["stop"],
  },
  status: {
    value: ChildStatusSchema.options.join("|"),
    doc: "Only children with this status.",
    schema: z.enum(ChildStatusSchema.options),
    commands: ["ps"],
  },
  url: {
    value: "URL",
    doc: "A member to ask; any one will do.",
    otherwise: `http://127.0.0.1:${DEFAULTS.port}`,
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
    schema: z.boolean(),
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
    schema: z.boolean(),
    commands: SPEC,
  },
  file: {
    value: "PATH[=FILE]",
    doc: "A file for the workspace: its path there, and here where that differs. Repeatable.",
    schema: z.array(z.string()),
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
    schema: z.array(z.string()),
    commands: SPEC,
  },
  env: {
    value: "NAME=VALUE",
    doc: "A variable for the child. Repeatable.",
    schema: z.array(z.string()),
    commands: SPEC,
  },
  label: {
    value: "NAME=VALUE",
    doc: "A label of the child; `ps` shows those with it. NAME alone: any value. Repeatable.",
    schema: z.array(z.string()),
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
    otherwise: `the pool's; without it ${DEFAULTS.deadlineMs} for calls, none for placed children`,
    schema: MEMBER_OPTIONS.deadlineMs.schema,
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
    schema: z.boolean(),
    commands: ["call"],
  },
  ...TOKEN_OPTIONS,
} as const satisfies Readonly<Record<string, CliOption>>;

/** Every command takes this one. */
export const HELP: Option = { short: "h", doc: "This text.", schema: z.boolean() };
