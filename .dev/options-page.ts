/** The tables of `server/docs/configuration.md`, from the tables of options. */

import { configurationOf, optionsOf } from "../server/cli/command-options.ts";
import { ASKING, COMMANDS } from "../server/cli/command-table.ts";
import { ASKING_OPTIONS } from "../server/cli/options/asking.ts";
import type { CliOption } from "../server/cli/options/spec.ts";
import { flagOf, variableOf } from "../server/cli/options/values.ts";
import { flags, textOf } from "../server/cli/output/help.ts";
import type { Option } from "../server/member/options/option.ts";
import { type JsonSchema, poolSchema } from "./json-schema.ts";

const UNITS = [
  [1024 ** 3, "GiB"],
  [1024 ** 2, "MiB"],
] as const;

/** Every option of `serve` and `dev`, as a Markdown table. */
export function optionsTable(): string {
  const options = new Map([...optionsOf("dev"), ...optionsOf("serve")]);
  return table(
    ["flag", "variable", "key in the file", "default", "reload", "meaning"],
    [...options].map(([key, option]) => [
      code(`--${flagOf(key)}${option.value ? ` ${option.value}` : ""}`),
      code(variableOf(key)),
      keyOf(key),
      defaultOf(key, option),
      option.reload ? "yes" : "",
      meaningOf(key, option),
    ]),
  );
}

/** Every command, as a Markdown table. */
export function commandsTable(): string {
  const rows = Object.values(COMMANDS).map(({ usage, summary }) => [
    code(`dpool ${usage.replace(" [options]", "")}`),
    summary,
  ]);
  return table(["command", "what it does"], rows);
}

/** Every option of the commands that ask a member, as a Markdown table. */
export function askingTable(): string {
  return table(
    ["flag", "commands", "meaning"],
    Object.entries<CliOption>(ASKING_OPTIONS).map(([key, option]) => [
      code(flags(key, option)),
      commandsOf(option),
      textOf(option),
    ]),
  );
}

/** The names of the commands that take an option; the others of those that ask a member. */
function commandsOf({ commands }: CliOption): string {
  const others = ASKING.filter((name) => !commands.includes(name));
  if (others.length === 0) return "all";
  return others.length < 5 ? `all but ${others.join(", ")}` : commands.join(", ");
}

/** Every option of a pool, as a Markdown table; the parts of an option with their own rows. */
export function poolOptionsTable(): string {
  const { properties = {} } = poolSchema();
  return table(["key", "default", "meaning"], Object.entries(properties).flatMap(rowsOf));
}

function rowsOf([key, schema]: [string, JsonSchema]): string[][] {
  const { description = "", default: value, anyOf = [] } = schema;
  const properties = Object.assign({}, schema.properties, ...anyOf.map((each) => each.properties));
  return [
    [code(key), amount(key, value), description],
    ...Object.entries<JsonSchema>(properties).flatMap(([name, part]) =>
      rowsOf([`${key}.${name}`, part]),
    ),
  ];
}

function meaningOf(key: string, { doc }: Option): string {
  const [other] = (["serve", "dev"] as const).filter((command) => !optionsOf(command).has(key));
  return other === undefined ? doc : `${doc} \`${other}\` does not take it.`;
}

function keyOf(key: string): string {
  if (key === "pool") return code("pools");
  return configurationOf("dev").has(key) || configurationOf("serve").has(key) ? code(key) : "";
}

function defaultOf(key: string, { default: value, otherwise }: Option): string {
  return otherwise ?? amount(key, value);
}

/** A default. A size has its unit beside the bytes that the option takes. */
function amount(key: string, value: unknown): string {
  if (value === undefined || typeof value === "object") return "";
  const [bytes = 1, unit] = UNITS.find(([size]) => Number(value) % size === 0) ?? [];
  return key.endsWith("Bytes") && unit ? `${value} (${Number(value) / bytes} ${unit})` : `${value}`;
}

const code = (text: string) => `\`${text}\``;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows]
    .map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`)
    .join("");
}
