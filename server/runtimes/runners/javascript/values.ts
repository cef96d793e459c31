/** Decodes a function's arguments, and encodes its value or error into a report. */
import { stringify, unflatten } from "devalue";
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
    const loss = lossIn(value, "the value", new Set());
    const json = loss === undefined ? JSON.stringify(value ?? null) : undefined;
    if (json !== undefined) return { kind: "returned", value: JSON.parse(json) };
    return cannotTravel(`expected a value that JSON can carry; ${loss ?? "it has none"}`);
  } catch (error) {
    const { path, name, message } = error as { path?: unknown; name?: unknown; message?: unknown };
    if (name === "DevalueError")
      return cannotTravel(`expected a value that devalue can carry; the value${path}: ${message}`);
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

/** The classes whose instances lose their contents in JSON, beside views of buffers. */
const EMPTY_IN_JSON = [Map, Set, Promise, RegExp, Error, ArrayBuffer];

/** The part of a value that JSON would change or drop silently; undefined for none. */
function lossIn(value: unknown, path: string, within: ReadonlySet<object>): string | undefined {
  if (value === null || ["undefined", "string", "boolean"].includes(typeof value)) return undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : `${path} is ${value}`;
  if (typeof value !== "object") return `${path} is a ${typeof value}`;
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return undefined;
  if (within.has(value)) return `${path} is part of a cycle`;
  if (ArrayBuffer.isView(value) || EMPTY_IN_JSON.some((type) => value instanceof type))
    return `${path} is an instance of ${value.constructor.name}`;
  const inside = new Set(within).add(value);
  const isArray = Array.isArray(value);
  for (const [key, item] of isArray ? value.entries() : Object.entries(value)) {
    const at = isArray ? `${path}[${key}]` : `${path}.${key}`;
    const loss = isArray && item === undefined ? `${at} is undefined` : lossIn(item, at, inside);
    if (loss) return loss;
  }
  return undefined;
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
