/** Decodes a function's arguments, and encodes its value or error into a report. */
import { stringify, unflatten } from "devalue";
import { flawIn } from "../../../../sdk/typescript/json-values.ts";
import type { Job, ReportBody } from "../../functions/messages.ts";

/** The arguments of a job. @throws {Error} for arguments that are not in the job's encoding. */
export function argumentsOf({ args, encoding }: Job): unknown[] {
  // No arguments are an empty array in either encoding.
  if (encoding === "json" || args.length === 0) return [...args];
  const values: unknown = unflatten([...args]);
  if (!Array.isArray(values)) throw new TypeError("expected an array of arguments");
  return values;
}

/** The report of a returned value. A value that the encoding would change or lose is an error. */
export function valueReport(value: unknown, encoding: Job["encoding"]): ReportBody {
  try {
    if (encoding === "devalue") return { kind: "returned", value: JSON.parse(stringify(value)) };
    const flaw = flawIn(value ?? null, "value");
    const json = flaw === undefined ? JSON.stringify(value ?? null) : undefined;
    if (json !== undefined) return { kind: "returned", value: JSON.parse(json) };
    return cannotTravel(`expected a value that JSON can carry; ${flaw ?? "it has none"}`);
  } catch (error) {
    const { path, name, message } = (error ?? {}) as Record<string, unknown>;
    if (name === "DevalueError")
      return cannotTravel(`expected a value that devalue can carry; value${path}: ${message}`);
    return cannotTravel(`expected a value that can be read; reading it threw ${textOf(error)}`);
  }
}

function cannotTravel(message: string): ReportBody {
  return {
    kind: "threw",
    error: { name: "TypeError", message },
    detail: `the function returned what cannot travel: ${message}`,
  };
}

/** A thrown value as text, whose conversion may throw again. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "a value without a text";
  }
}

/** The report of a thrown value. */
export function errorReport(thrown: unknown): ReportBody {
  const isError = thrown instanceof Error;
  const name = isError ? String(thrown.name) : "Error";
  const message = isError ? String(thrown.message) : String(thrown);
  const unknownName =
    isError && thrown instanceof ReferenceError
      ? /^(?:Can't find variable: (\S+)|(\S+) is not defined)$/.exec(message)
      : undefined;
  const hint = unknownName
    ? " (functions travel as source and see only what is passed to them: " +
      `if ${unknownName[1] ?? unknownName[2]} is a variable of yours, pass it as an argument)`
    : "";
  const stack = isError && typeof thrown.stack === "string" ? thrown.stack : undefined;
  return {
    kind: "threw",
    error: { name, message, ...(stack === undefined ? {} : { stack }) },
    detail: `${name}: ${message}${hint}`,
  };
}
