/** Turns a line of the log from JSON into a text for people. Pure. */

/** The fields that the line begins with, in a form of their own. */
const HEAD = new Set(["time", "level", "msg"]);

/** Control characters but the line break: a terminal would obey them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to take out.
const CONTROL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Characters of a value that needs no quotes. */
const WORD = /^[\w.:/@+-]+$/;

/** `TIME LEVEL MESSAGE KEY=VALUE…`, without values that are null. */
export function textOf(json: string): string {
  const line = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const fields = Object.entries(line)
    .filter(([key, value]) => !HEAD.has(key) && value !== null)
    .map(([key, value]) => ` ${key}=${shown(value)}`);
  const text = `${[line.time, line.level, line.msg].join(" ")}${fields.join("")}`
    .replaceAll(CONTROL, (character) => `\\u${hexOf(character)}`)
    // No message can pass for a line of its own.
    .replaceAll("\n", "\n  ");
  return `${text}\n`;
}

const hexOf = (character: string) => character.charCodeAt(0).toString(16).padStart(4, "0");

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return WORD.test(text) ? text : JSON.stringify(value);
}
