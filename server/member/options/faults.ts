/** Faults of options, each with its path and a message `expected …; got …`. */
import type { z } from "zod";
import { whatWasExpected } from "../../http/problems.ts";
import { expectation, shown } from "./expectation.ts";

export interface Fault {
  /** Keys of the options, the outermost first. */
  readonly path: readonly PropertyKey[];
  /** `expected …; got …`. */
  readonly message: string;
}

/** Every fault that a schema finds in a value; none of a value that it takes. */
export function faultsIn(schema: z.ZodType, value: unknown): Fault[] {
  const { error } = schema.safeParse(value, { error: expectation, reportInput: true });
  return (error?.issues ?? []).flatMap((issue) => {
    const { path, input } = issue;
    if (issue.code === "unrecognized_keys")
      return issue.message
        .split("\n")
        .map((message, index) => ({ path: [...path, issue.keys[index] ?? ""], message }));
    const message = whatWasExpected(issue);
    return {
      path,
      message: message.includes("; got ") ? message : `${message}; got ${shown(input)}`,
    };
  });
}
