/** Finds the options of every command. */
import type { MemberOption, Option } from "../member/options/option.ts";
import { MEMBER_OPTIONS } from "../member/options/table.ts";
import type { Command } from "./command-table.ts";
import { INIT_OPTIONS } from "./options/init.ts";
import type { CliOption } from "./options/spec.ts";
import { CLI_OPTIONS } from "./options/table.ts";
import type { OptionValues } from "./options/values.ts";

/** The options that a command takes, by their keys. */
export function optionsOf(command: Command): ReadonlyMap<string, Option> {
  const own = [
    ...Object.entries<CliOption>(CLI_OPTIONS),
    ...Object.entries<CliOption>(INIT_OPTIONS),
  ].filter(([, { commands }]) => commands.includes(command));
  const serving = ["serve", "dev", "check-config", "doctor"].includes(command);
  const ofMember = Object.entries<MemberOption>(MEMBER_OPTIONS).filter(
    ([, { only }]) => serving && (only === undefined || command !== "dev"),
  );
  return new Map<string, Option>([...own, ...ofMember]);
}

/** The options that `serve` or `dev` takes from a configuration file, by their keys there. */
export function configurationOf(command: Command): ReadonlyMap<string, Option> {
  const ofTheLine = ["pool", "config", "output"];
  return new Map([...optionsOf(command)].filter(([key]) => !ofTheLine.includes(key)));
}

/** An option's value, or else its default. */
export const valueInForce = (values: OptionValues, key: string, option: Option): unknown =>
  values[key as keyof OptionValues] ?? option.default;
