/**
 * The options of the commands that ask a member, one entry each. They load the small form of zod
 * alone, so that a command begins soon.
 */
import * as z from "zod/mini";
import { CHILD_STATUSES } from "../../../openapi/names.ts";
import { DAY_MS, DEFAULT_PORT } from "../../member/options/constants.ts";
import type { Option } from "../../member/options/option.ts";
import { CLIENTS, COMMANDS, type Command, PLACING } from "../command-table.ts";
import { type CliOption, SPEC_OPTIONS, SWITCH, TEXTS, whole } from "./spec.ts";

/** The commands that print nothing but what a child or a shell gets from them. */
const SILENT: readonly Command[] = ["attach", "stop", "stdin", "signal", "completion"];

export const ASKING_OPTIONS = {
  output: {
    short: "o",
    value: "text|json",
    doc:
      "Print JSON: one value, or one line for each event or input. " +
      "Problems are JSON too, on stderr.",
    schema: z.enum(["text", "json"]),
    default: "text",
    commands: (Object.keys(COMMANDS) as Command[]).filter((name) => !SILENT.includes(name)),
  },
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
    doc: "A member to ask, any one: a URL, or HOST:PORT.",
    otherwise: `http://127.0.0.1:${DEFAULT_PORT}`,
    commands: CLIENTS,
  },
  token: {
    value: "TOKEN",
    doc:
      "The token to show. Better in the variable: " +
      "other users of this machine can see a command's arguments.",
    commands: CLIENTS,
  },
  ca: {
    value: "FILE",
    doc: "The authority of the members' certificates (PEM).",
    otherwise: "the well-known ones",
    commands: CLIENTS,
  },
  cert: {
    value: "FILE",
    doc: "A client certificate (PEM), with --key, for members that require one.",
    commands: CLIENTS,
  },
  key: {
    value: "FILE",
    doc: "The client certificate's key (PEM).",
    commands: CLIENTS,
  },
  insecure: {
    doc: "Send the token over http beyond loopback too, where others can read it.",
    schema: SWITCH,
    commands: CLIENTS,
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
  label: {
    value: "NAME=VALUE",
    doc: "A label of the child; `ps` shows those with it. NAME alone: any value. Repeatable.",
    schema: TEXTS,
    commands: [...SPEC_OPTIONS.env.commands, "ps"],
  },
  ...SPEC_OPTIONS,
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
