/** The tables of `server/docs/configuration.md`, from the tables of options. */

import { configurationOf, optionsOf } from "../server/cli/command-options.ts";
import { flagOf, variableOf } from "../server/cli/options/values.ts";
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
