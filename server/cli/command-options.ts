/** Finds a command's options, and the values that texts stand for. */
import { z } from "zod";
import { faultsIn } from "../member/options/faults.ts";
import type { MemberOption, Option } from "../member/options/option.ts";
import { MEMBER_OPTIONS } from "../member/options/table.ts";
import type { Command } from "./command-table.ts";
import { CLI_OPTIONS, type CliOption } from "./options.ts";
import { UsageError } from "./usage-error.ts";

type Values<T extends Readonly<Record<string, Option>>> = {
  readonly [K in keyof T]?: T[K] extends { readonly schema: infer S } ? z.output<S> : string;
};

/** Options by their keys, as a command line, the environment and a file give them. */
export type OptionValues = Values<typeof CLI_OPTIONS> & Values<typeof MEMBER_OPTIONS>;

/** The options that a command takes, by their keys. */
export function optionsOf(command: Command): ReadonlyMap<string, Option> {
  const own = Object.entries<CliOption>(CLI_OPTIONS).filter(([, { commands }]) =>
    commands.includes(command),
  );
  const serving = ["serve", "dev", "check-config"].includes(command);
  const ofMember = Object.entries<MemberOption>(MEMBER_OPTIONS).filter(
    ([, { only }]) => serving && (only === undefined || command !== "dev"),
  );
  return new Map<string, Option>([...own, ...ofMember]);
}

/** The options that `serve` or `dev` takes from a configuration file, by their keys there. */
export function configurationOf(command: Command): ReadonlyMap<string, Option> {
  return new Map([...optionsOf(command)].filter(([key]) => key !== "pool" && key !== "config"));
}

/** An option's value, or else its default. */
export const valueInForce = (values: OptionValues, key: string, option: Option): unknown =>
  values[key as keyof OptionValues] ?? option.default;

/** `--grace-ms` is the flag of `graceMs`; without its hyphens here. */
export const flagOf = (key: string) =>
  key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** `DPOOL_GRACE_MS` is the variable of `graceMs`. */
export const variableOf = (key: string) =>
  `DPOOL_${flagOf(key).replaceAll("-", "_").toUpperCase()}`;

export const isSwitch = ({ schema }: Option) => schema instanceof z.ZodBoolean;
export const isList = ({ schema }: Option) => schema instanceof z.ZodArray;

/**
 * The value that a text of a flag, a variable or a file stands for, in a list one of its values.
 *
 * @throws {UsageError} `expected …; got …`
 */
export function parseOption({ schema = z.string() }: Option, text: string): unknown {
  const one = schema instanceof z.ZodArray ? (schema.element as z.ZodType) : schema;
  const isNumber = one instanceof z.ZodNumber && /^\d+$/.test(text);
  const value = one instanceof z.ZodBoolean ? true : isNumber ? Number(text) : text;
  const parsed = one.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UsageError(faultsIn(one, value)[0]?.message);
}
