/** The words of options, and the values that texts stand for. */

import type { z } from "zod";
import { safeParse } from "zod/mini";
import { expectation, shown } from "../../member/options/expectation.ts";
import type { Option } from "../../member/options/option.ts";
import type { MEMBER_OPTIONS } from "../../member/options/table.ts";
import { UsageError } from "../usage-error.ts";
import type { INIT_OPTIONS } from "./init.ts";
import type { CLI_OPTIONS } from "./table.ts";

type Values<T extends Readonly<Record<string, Option>>> = {
  readonly [K in keyof T]?: T[K] extends { readonly schema: infer S } ? z.output<S> : string;
};

/** Options by their keys, as a command line, the environment and a file give them. */
export type OptionValues = Values<typeof CLI_OPTIONS> &
  Values<typeof MEMBER_OPTIONS> &
  Values<typeof INIT_OPTIONS>;

/** `--grace-ms` is the flag of `graceMs`; without its hyphens here. */
export const flagOf = (key: string) =>
  key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** `DPOOL_GRACE_MS` is the variable of `graceMs`. */
export const variableOf = (key: string) =>
  `DPOOL_${flagOf(key).replaceAll("-", "_").toUpperCase()}`;

const kindOf = (schema: z.core.$ZodType | undefined) => schema?._zod.def.type;
export const isSwitch = ({ schema }: Option) => kindOf(schema) === "boolean";
export const isList = ({ schema }: Option) => kindOf(schema) === "array";

/** The words that an option takes, where it takes only a few. */
export function choicesOf({ schema }: Option): string[] {
  const one = elementOf(schema);
  const { entries = {} } = (one?._zod.def ?? {}) as { entries?: Readonly<Record<string, string>> };
  return Object.values(entries);
}

const elementOf = (schema: z.core.$ZodType | undefined) =>
  kindOf(schema) === "array" ? (schema as z.core.$ZodArray)._zod.def.element : schema;

/**
 * The value that a text of a flag, a variable or a file stands for, in a list one of its values.
 *
 * @throws {UsageError} `expected …; got …`
 */
export function parseOption({ schema }: Option, text: string): unknown {
  const one = elementOf(schema);
  if (one === undefined) return text;
  const isNumber = kindOf(one) === "number" && /^\d+$/.test(text);
  const value = kindOf(one) === "boolean" ? true : isNumber ? Number(text) : text;
  const { data, error } = safeParse(one, value, { error: expectation });
  if (!error) return data;
  const message = error.issues[0]?.message ?? "";
  throw new UsageError(message.includes("; got ") ? message : `${message}; got ${shown(value)}`);
}
