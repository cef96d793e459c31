/** Words for values that an option does not take: `expected …`, and the one that came. */
import { closestMatch } from "leven";
import type { z } from "zod";

/** A value for a message, at most 100 characters of it. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "none";
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

const KINDS: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "options by name",
  record: "values by name",
};

/** Words zod's own issues; an issue that has a message of its schema keeps it. */
export function expectation(issue: z.core.$ZodRawIssue): string | undefined {
  const { code, expected, minimum, maximum, origin, values, keys, inst } = issue as {
    readonly [key: string]: unknown;
  };
  const unit = origin === "array" ? " entries" : origin === "string" ? " characters" : "";
  if (code === "invalid_type") return `expected ${KINDS[String(expected)] ?? expected}`;
  if (code === "too_small") return `expected at least ${minimum}${unit}`;
  if (code === "too_big") return `expected at most ${maximum}${unit}`;
  if (code === "invalid_value") return `expected ${(values as unknown[]).join(" or ")}`;
  if (code === "unrecognized_keys") {
    const known = Object.keys((inst as z.ZodObject).shape);
    // A line for each key: JSON escapes the line breaks in a key.
    return (keys as string[]).map((key) => unknownKey(key, known)).join("\n");
  }
  return undefined;
}

/** The word that a mistyped one was probably meant to be; undefined where none is near. */
export function wordMeant(word: string, words: readonly string[]): string | undefined {
  // Two neighbours that change their order are two edits for leven: `prot` is `port`.
  const maxDistance = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  const near = closestMatch(
    word.toLowerCase(),
    words.map((name) => name.toLowerCase()),
    { maxDistance },
  );
  return words.find((name) => name.toLowerCase() === near);
}

/** Names the known keys for an unknown one, or the one that was probably meant. */
export function unknownKey(key: string, keys: readonly string[]): string {
  const meant = wordMeant(key, keys);
  return meant === undefined
    ? `expected one of ${keys.join(", ")}; got ${shown(key)}`
    : `expected a key that is known; got ${shown(key)}; did you mean ${meant}?`;
}
