/** The words of an unfinished command line, and the kind of word that the last one is. */
import type { Option } from "../../member/options/option.ts";
import type { Command } from "../command-table.ts";
import { SPEC } from "../options/spec.ts";
import { flagOf, isSwitch } from "../options/values.ts";

/** The kind of word at the cursor. */
export type Wanted =
  | { readonly kind: "command" | "flag" | "nothing" }
  | { readonly kind: "value"; readonly option: Option; readonly prefix: string }
  | { readonly kind: "argument"; readonly index: number };

/** bash splits words at these characters, too. */
const BREAKS = /^[=:]+$/;

/** The words that bash has split at `=` and `:`, as the person typed them. Pure. */
export function joined(words: readonly string[]): string[] {
  const whole: string[] = [];
  let isOpen = false;
  for (const word of words) {
    const isBreak = BREAKS.test(word);
    if ((isBreak || isOpen) && whole.length > 0) whole.push(`${whole.pop()}${word}`);
    else whole.push(word);
    isOpen = isBreak;
  }
  return whole;
}

/**
 * The kind of word that the last one is. Pure.
 *
 * @param words those behind `dpool`, up to the cursor; the last one may be empty.
 */
export function wantedIn(
  words: readonly string[],
  command: Command | undefined,
  options: ReadonlyMap<string, Option>,
): Wanted {
  if (words.length < 2) return { kind: "command" };
  if (command === undefined) return { kind: "nothing" };
  const before = words.slice(1, -1);
  const current = words.at(-1) ?? "";
  if (SPEC.some((name) => name === command) && before.includes("--")) return { kind: "nothing" };
  let index = 0;
  let open: Option | undefined;
  for (const word of before) {
    if (open) open = undefined;
    else if (word.startsWith("-")) open = valueOption(word, options);
    else index += 1;
  }
  if (open) return { kind: "value", option: open, prefix: "" };
  const [, flag] = /^(--[\w-]+)=/.exec(current) ?? [];
  const option = flag === undefined ? undefined : valueOption(flag, options);
  if (option) return { kind: "value", option, prefix: `${flag}=` };
  return current.startsWith("-") ? { kind: "flag" } : { kind: "argument", index };
}

/** The option whose value is the next word; undefined for a switch and for `--flag=value`. */
function valueOption(flag: string, options: ReadonlyMap<string, Option>): Option | undefined {
  const [, option] =
    [...options].find(
      ([key, { short }]) => flag === `--${flagOf(key)}` || flag === `-${short ?? "-"}`,
    ) ?? [];
  return option === undefined || isSwitch(option) ? undefined : option;
}
