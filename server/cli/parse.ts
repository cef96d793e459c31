/** Reads a command line and the environment; a flag wins over its variable. */
import { parseArgs } from "node:util";
import { messageOf } from "../../openapi/errors.ts";
import {
  type ConsulOptions,
  consulOptionsFrom,
} from "../../sdk/typescript/placement/consul/consul-client.ts";
import type { Option } from "../member/options/option.ts";
import {
  flagOf,
  isList,
  isSwitch,
  type OptionValues,
  optionsOf,
  parseOption,
  variableOf,
} from "./command-options.ts";
import { COMMAND_NAMES, type Command, HELP } from "./options.ts";
import { UsageError } from "./usage-error.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Parsed {
  readonly command: Command;
  /** Arguments before `--` that are no options. */
  readonly positionals: readonly string[];
  /** Arguments behind `--`; undefined without one. */
  readonly rest: readonly string[] | undefined;
  /** Values of the options, by key. */
  readonly values: OptionValues;
  /** Pools of the configuration file, whose options the member checks. */
  readonly pools?: Readonly<Record<string, unknown>>;
  /** Runtimes of the configuration file, likewise. */
  readonly runtimes?: Readonly<Record<string, unknown>>;
  /** Keys of the options that came by a flag; a flag wins over every variable. */
  readonly flagged: ReadonlySet<string>;
}

type Flags = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/**
 * Reads a command line and the environment.
 *
 * @returns `help` with a command, or undefined for all, when the line asks for a help text.
 * @throws {UsageError} `--flag: expected …; got …`, or with the variable instead of the flag.
 */
export function parse(
  argv: readonly string[],
  env: Environment,
): Parsed | { readonly help: Command | undefined } {
  const [command, ...others] = argv;
  if (command === undefined || ["--help", "-h", "help"].includes(command))
    return { help: others.slice(0, 1).find(isCommand) };
  if (!isCommand(command))
    throw new UsageError(
      `expected one of ${COMMAND_NAMES.join(", ")}; got ${JSON.stringify(command)}`,
    );
  const end = others.indexOf("--");
  const { values: flags, positionals } = readFlags(
    command,
    end < 0 ? others : others.slice(0, end),
  );
  if (flags.help) return { help: command };
  const options = [...optionsOf(command)];
  const values = options
    .map((option) => [option[0], optionValue(option, flags, env)] as const)
    .filter(([, value]) => value !== undefined);
  return {
    command,
    positionals,
    rest: end < 0 ? undefined : others.slice(end + 1),
    values: Object.fromEntries(values),
    flagged: new Set(options.map(([key]) => key).filter((key) => flagOf(key) in flags)),
  };
}

function isCommand(word: string): word is Command {
  return COMMAND_NAMES.some((name) => name === word);
}

/** Reads a command's flags. A name that is no flag of the command is refused. */
function readFlags(command: Command, args: string[]): { values: Flags; positionals: string[] } {
  const options = [...optionsOf(command), ["help", HELP] as const].map(
    ([key, { schema, short }]) =>
      [
        flagOf(key),
        {
          type: isSwitch(schema) ? ("boolean" as const) : ("string" as const),
          multiple: isList(schema),
          ...(short && { short }),
        },
      ] as const,
  );
  try {
    return parseArgs({ args, allowPositionals: true, options: Object.fromEntries(options) });
  } catch (error) {
    throw new UsageError(`${messageOf(error).split(". ")[0]}; see dpool ${command} --help`);
  }
}

/** An option's value from its flag, or else from its variable; undefined without both. */
function optionValue(
  [key, option]: readonly [string, Option],
  flags: Flags,
  env: Environment,
): unknown {
  const [flag, variable] = [flags[flagOf(key)], env[variableOf(key)]];
  if (flag !== undefined) {
    const values = [flag]
      .flat()
      .map((text) => parseOption(option, String(text), `--${flagOf(key)}`));
    return isList(option.schema) ? values : values[0];
  }
  if (variable === undefined) return undefined;
  if (isSwitch(option.schema)) return ["1", "true"].includes(variable) || undefined;
  return isList(option.schema)
    ? variable.split(",").map((text) => parseOption(option, text, variableOf(key)))
    : parseOption(option, variable, variableOf(key));
}

/** The Consul that a command uses; undefined when nothing names one. */
export function consulOf(values: OptionValues, env: Environment): ConsulOptions | undefined {
  const address = values.consul ?? env.CONSUL_HTTP_ADDR;
  return address === undefined ? undefined : consulOptionsFrom(env, address);
}
