/** Decodes a function's arguments, and encodes its value into a report. */
import { DevalueError, stringify, unflatten } from "devalue";
import { flawForDevalue, flawIn } from "../../../../sdk/typescript/json-values.ts";
import type { Job, ReportBody } from "../../functions/messages.ts";
import { textOf } from "./errors.ts";

/** The arguments of a job. @throws {Error} for arguments that are not in the job's encoding. */
export function argumentsOf({ args, encoding }: Job): unknown[] {
  // No arguments are an empty array in either encoding.
  if (encoding === "json" || args.length === 0) return [...args];
  const values: unknown = unflatten([...args]);
  if (!Array.isArray(values)) throw new TypeError("expected an array of arguments");
  return values;
}

/** A value as JSON text, or the report that it cannot travel. */
export type Encoded = { readonly json: string } | ReportBody;

/** Encodes a value. One that the encoding would change or lose is an error. */
export function encodeValue(value: unknown, encoding: Job["encoding"]): Encoded {
  try {
    if (encoding === "devalue") return { json: stringify(value) };
    const flaw = flawIn(value ?? null, "value");
    const json = flaw === undefined ? JSON.stringify(value ?? null) : undefined;
    if (json !== undefined) return { json };
    return cannotTravel(`expected a value that JSON can carry; ${flaw ?? "it has none"}`);
  } catch (error) {
    if (!(error instanceof DevalueError))
      return cannotTravel(`expected a value that can be read; reading it threw ${textOf(error)}`);
    const flaw = flawForDevalue(error.value) ?? `refused: ${error.message}`;
    return cannotTravel(`expected a value that devalue can carry; value${error.path} is ${flaw}`);
  }
}

function cannotTravel(message: string): ReportBody {
  return {
    kind: "threw",
    error: { name: "TypeError", message },
    detail: `the function returned what cannot travel: ${message}`,
  };
}
