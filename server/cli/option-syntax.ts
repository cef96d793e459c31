/** Texts of flags that have a syntax of their own. */
import { z } from "zod";
import { shown } from "../member/options/faults.ts";
import { DEFAULTS } from "../member/options.ts";

const MAX_CHILDREN = 10_000;

/** `NAME=MAX`, or `NAME` with the default number of children. */
export const poolFlag = z
  .string()
  .transform((text, context): [name: string, maxChildren: number] => {
    const [name = "", max = String(DEFAULTS.maxChildren), ...rest] = text.split("=");
    if (name === "" || rest.length > 0) context.addIssue("expected NAME=MAX, such as pipeline=5");
    else if (!/^\d+$/.test(max) || Number(max) < 1 || Number(max) > MAX_CHILDREN)
      context.addIssue(`expected a whole number from 1 to ${MAX_CHILDREN}; got ${shown(max)}`);
    return [name, Number(max)];
  });

/** A JSON array. */
export const jsonList = z.string().transform((text, context): unknown[] => {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
  } catch {
    // The message below covers it.
  }
  context.addIssue('expected a JSON array, such as [1, "two"]');
  return z.NEVER;
});
