/** Reads a command line and the environment; a flag wins over its variable. */
import { parseArgs } from "node:util";
import { messageOf } from "../../openapi/errors.ts";
import { consulOptionsFrom } from "../../sdk/typescript/node/consul/consul-options.ts";
import { shown, wordMeant } from "../member/options/expectation.ts";
import type { Option } from "../member/options/option.ts";
import { withoutUndefined } from "../sandbox/confinement.ts";
import { COMMANDS, type Command } from "./command-table.ts";
import { HELP } from "./options/asking.ts";
import { SPEC } from "./options/spec.ts";
import {
  flagOf,
  isList,
  isSwitch,
  type OptionValues,
  parseOption,
  variableOf,
} from "./options/values.ts";
import { UsageError } from "./usage-error.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Parsed {
  readonly command: Command;
  /** Arguments that are no options; with a child spec those before `--`. */
  readonly positionals: readonly string[];
  /** Arguments behind `--`, the command of a child spec; undefined without one. */
  readonly rest: readonly string[] | undefined;
  /** Values of the options, by key. */
  readonly values: OptionValues;
  /** Pools of the configuration file, whose options the member checks. */
  readonly pools?: Readonly<Record<string, unknown>>;
  /** Runtimes of the configuration file, likewise. */
  readonly runtimes?: Readonly<Record<string, unknown>>;
  /** The flags that the line names, without their hyphens; a flag wins over every variable. */
  readonly flagged: ReadonlySet<string>;
}

type Flags = ReturnType<typeof parseArgs>["values"];

/** Finds the options of a command. Only some commands need those of a member. */
export type OptionsOf = (command: Command) => ReadonlyMap<string, Option>;

/**
 * Reads a command line and the environment.
 *
 * @param optionsOf finds the options of the command.
 * @returns `help` with a command, or undefined for all, when the line asks for a help text.
 * @throws {UsageError} `--flag: expected …; got …`, or with the variable instead of the flag.
 */
export function parse(
  argv: readonly string[],
  env: Environment,
  optionsOf: OptionsOf,
): Parsed | { readonly help: Command | undefined } {
  const [command, ...others] = argv;
  if (command === undefined || ["--help", "-h", "help"].includes(command))
    return { help: others.slice(0, 1).find(isCommand) };
  if (!isCommand(command)) throw new UsageError(unknownCommand(command));
  const end = SPEC.some((name) => name === command) ? others.indexOf("--") : -1;
  const options = [...optionsOf(command)];
  const { values: flags, positionals } = readFlags(
    [...options, ["help", HELP]],
    end < 0 ? others : others.slice(0, end),
    command,
  );
  if (flags.help) return { help: command };
  const values = options.map(([key, option]) => [key, optionValue(key, option, { flags, env })]);
  return {
    command,
    positionals,
    rest: end < 0 ? undefined : others.slice(end + 1),
    values: withoutUndefined(Object.fromEntries(values)),
    flagged: new Set(Object.keys(flags)),
  };
}

/** Names the command that was probably meant, or all commands. */
function unknownCommand(word: string): string {
  const names = Object.keys(COMMANDS);
  const meant = wordMeant(word, names);
  return meant === undefined
    ? `expected one of ${names.join(", ")}; got ${shown(word)}`
    : `expected a command; got ${shown(word)}; did you mean dpool ${meant}?`;
}

export const isCommand = (word: string): word is Command => Object.hasOwn(COMMANDS, word);

/** Reads a command's flags. A name that is no flag of the command is refused. */
function readFlags(
  options: readonly (readonly [string, Option])[],
  args: string[],
  command: Command,
): { values: Flags; positionals: string[] } {
  const config = options.map(([key, option]) => [
    flagOf(key),
    {
      type: isSwitch(option) ? ("boolean" as const) : ("string" as const),
      multiple: isList(option),
      ...(option.short && { short: option.short }),
    },
  ]);
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      allowNegative: true,
      options: Object.fromEntries(config),
    });
  } catch (error) {
    const negative = /^Option '.*--(\S+)[^']*' argument is ambiguous/.exec(messageOf(error))?.[1];
    if (negative !== undefined) throw new UsageError(dashedValue(negative, options, args));
    const [fault = ""] = messageOf(error).split(". To specify a positional");
    const line = fault.replaceAll("\n", " ").replace(/\.$/, "");
    const hint = flagMeant(/^Unknown option '--(?:no-)?([^']+)'/.exec(line)?.[1], options);
    throw new UsageError(`${line}; ${hint}see dpool ${command} --help`);
  }
}

/** A value that begins with a dash, such as -5 behind --deadline-ms. */
function dashedValue(
  flag: string,
  options: readonly (readonly [string, Option])[],
  args: readonly string[],
): string {
  const [, option] = options.find(([key]) => flagOf(key) === flag) ?? [];
  const names = [`--${flag}`, `-${option?.short}`];
  const value = args[args.findIndex((each) => names.includes(each)) + 1] ?? "";
  try {
    if (option) parseOption(option, value);
  } catch (error) {
    return `--${flag}: ${messageOf(error)}`;
  }
  const form = `--${flag}=${value}`;
  return `--${flag}: expected a value; got ${shown(value)}, which needs the form ${form}`;
}

/** Names the flag that was probably meant, such as `did you mean --port?; `. */
function flagMeant(
  flag: string | undefined,
  options: readonly (readonly [string, Option])[],
): string {
  if (flag === undefined) return "";
  const flags = options.map(([key]) => flagOf(key));
  if (flag === "json" && flags.includes("output")) {
    const spec = flags.includes("spec") ? ", --spec takes a child spec" : "";
    return `--output json prints JSON${spec}; `;
  }
  const meant = wordMeant(flag, flags);
  return meant === undefined ? "" : `did you mean --${meant}?; `;
}

/** An option's value from its flag, or else from its variable; undefined without both. */
function optionValue(
  key: string,
  option: Option,
  { flags, env }: { readonly flags: Flags; readonly env: Environment },
): unknown {
  const [flag, variable] = [flags[flagOf(key)], env[variableOf(key)]];
  if (flag === undefined && isSwitch(option))
    return ["1", "true"].includes(variable ?? "") || undefined;
  const given = flag ?? (isList(option) ? variable?.split(",") : variable);
  if (given === undefined || given === false) return given;
  try {
    const values = [given].flat().map((text) => parseOption(option, String(text)));
    return isList(option) ? values : values[0];
  } catch (error) {
    const source = flag === undefined ? variableOf(key) : `--${flagOf(key)}`;
    throw new UsageError(`${source}: ${messageOf(error)}`);
  }
}

/** Whether the command prints JSON. */
export const isJson = ({ values }: Parsed): boolean => values.output === "json";

/** The Consul that a command uses; undefined when nothing names one. */
export function consulOf(values: OptionValues, env: Environment) {
  const address = values.consul ?? env.CONSUL_HTTP_ADDR;
  return address === undefined ? undefined : consulOptionsFrom(env, address);
}

/**
 * The arguments of a command, one for each noun.
 *
 * @throws {UsageError} for more and for fewer.
 */
export function argumentsOf<const Nouns extends readonly string[]>(
  { positionals }: Parsed,
  ...nouns: Nouns
) {
  if (positionals.length === nouns.length)
    return positionals as { readonly [Index in keyof Nouns]: string };
  const expected = nouns.join(" and ") || "options only";
  throw new UsageError(`expected ${expected}; got ${positionals.join(" ") || "none"}`);
}
