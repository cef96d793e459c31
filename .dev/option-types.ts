/** TypeScript interfaces of the options, from their JSON Schema, for those who embed a member. */

import type { MemberOption } from "../server/member/options/option.ts";
import { MEMBER_OPTIONS } from "../server/member/options/table.ts";
import { CONFIG_SCHEMA, type JsonSchema, poolSchema } from "./json-schema.ts";

const COLUMNS = 100;

/** The text of `server/member/options/types.gen.ts`. */
export function optionTypes(): string {
  const pool = poolSchema();
  const reuse = pool.properties?.reuse?.anyOf?.find(({ properties }) => properties) ?? {};
  const network = pool.properties?.network?.anyOf?.find(({ properties }) => properties);
  const table = Object.entries<MemberOption>(MEMBER_OPTIONS)
    // A path with a dot is a part of an option that `MemberOptions` writes out.
    .filter(([, { path }]) => !path?.includes("."))
    .map(([key, { path = key, doc, reload }]) => {
      const description = reload ? `${doc} A reload takes it.` : doc;
      return [path, { ...CONFIG_SCHEMA.properties?.[key], description }] as const;
    });
  return [
    "/** Generated from the tables of options by `npm run docs`. */",
    "",
    "/** The options of a member that flags can say. */",
    `export interface TableOptions ${objectType({ properties: Object.fromEntries(table) })}`,
    "",
    "/** The options of a pool: `maxChildren`, limits and grants. A reload takes every one. */",
    `export interface PoolOptions ${objectType(pool, ["maxChildren"])}`,
    "",
    "/** The most that a child of a pool may use. */",
    `export interface PoolLimits ${objectType(pool.properties?.limits ?? {})}`,
    "",
    "/** When a process that is kept for further calls is replaced. */",
    `export interface PoolReuse ${objectType(reuse)}`,
    "",
    "/** The names and ports that the children of a pool may reach. */",
    `export interface PoolNetwork ${objectType(network ?? {}, ["allow"])}`,
    "",
  ].join("\n");
}

function objectType({ properties = {} }: JsonSchema, required: readonly string[] = []): string {
  const members = Object.entries(properties).map(([name, schema]) => {
    const type = required.includes(name)
      ? `: ${typeOf(schema, name)}`
      : `?: ${typeOf(schema, name)} | undefined`;
    return `${comment(schema)}readonly ${name}${type};\n`;
  });
  return `{\n${indented(members.join(""))}}`;
}

/** The options that have named parts. */
const PARTS: Readonly<Record<string, string>> = {
  limits: "PoolLimits",
  network: "PoolNetwork",
  reuse: "PoolReuse",
};

/** @param name of the option. */
function typeOf(schema: JsonSchema, name = ""): string {
  const { type, anyOf, items, properties, additionalProperties } = schema;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (anyOf) return anyOf.map((each) => typeOf(each, name)).join(" | ");
  if (items) return `readonly ${typeOf(items)}[]`;
  if (properties) return PARTS[name] ?? "object";
  if (additionalProperties) return `Readonly<Record<string, ${typeOf(additionalProperties)}>>`;
  return type === "integer" ? "number" : String(type);
}

function comment({ description = "", default: value }: JsonSchema): string {
  const isPlain = value !== undefined && typeof value !== "object";
  const text = isPlain ? `${description} Default ${JSON.stringify(value)}.` : description;
  const lines = wrapped(text, COLUMNS - 10);
  return lines.length === 1
    ? `/** ${text} */\n`
    : `/**\n${lines.map((line) => ` * ${line}\n`).join("")} */\n`;
}

function wrapped(text: string, columns: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trimStart();
    if (longer.length <= columns) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

const indented = (text: string) => text.replaceAll(/^(?=.)/gm, "  ");
