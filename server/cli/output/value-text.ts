/** The value of a function, as JSON or as a text. */
import { inspect } from "node:util";
import { checkArguments } from "../../../sdk/typescript/values.ts";

/** A value as JSON; a value that only devalue carries, as Node shows it. */
export function valueText(value: unknown): string {
  return isJson(value) ? JSON.stringify(value ?? null) : inspect(value, { depth: null });
}

/** A value for a place in JSON: a value that only devalue carries is the text that Node shows. */
export const jsonValue = (value: unknown): unknown =>
  isJson(value) ? (value ?? null) : inspect(value, { depth: null });

function isJson(value: unknown): boolean {
  try {
    checkArguments([value ?? null]);
    return true;
  } catch {
    return false;
  }
}
