/** Encodes a thrown value into a report: the error, and the errors behind it. */
import type { FunctionError } from "../../../../openapi/types.gen.ts";
import type { ReportBody } from "../../functions/messages.ts";
import { originalStack } from "./source-map.ts";

/** 16 errors, and 20,000 characters of each text: the server keeps no more. */
const MAX_ERRORS = 16;
const MAX_TEXT = 20_000;

/** The report of a thrown value. */
export function errorReport(thrown: unknown): ReportBody {
  const error = errorOf(thrown, new Set());
  const { name, message } = error;
  const unknownName =
    name === "ReferenceError"
      ? /^(?:Can't find variable: (\S+)|(\S+) is not defined)$/.exec(message)
      : undefined;
  const hint = unknownName
    ? " (functions travel as source and see only what is passed to them: " +
      `if ${unknownName[1] ?? unknownName[2]} is a variable of yours, pass it as an argument)`
    : "";
  return { kind: "threw", error, detail: `${name}: ${message}${hint}` };
}

/** @param seen the errors that are described already, so that a cycle ends. */
function errorOf(thrown: unknown, seen: Set<unknown>): FunctionError {
  seen.add(thrown);
  try {
    if (!isError(thrown)) return { name: "Error", message: textOf(thrown) };
    const { name, message, stack, code, cause, errors } = thrown;
    const isNew = (each: unknown) => !seen.has(each) && seen.size < MAX_ERRORS;
    const isGroup = thrown instanceof AggregateError && Array.isArray(errors);
    return {
      name: textOf(name),
      message: textOf(message),
      ...(typeof stack === "string" && { stack: originalStack(stack).slice(0, MAX_TEXT) }),
      ...(isCode(code) && { code: textOf(code) }),
      ...(cause != null && isNew(cause) && { cause: errorOf(cause, seen) }),
      ...(isGroup && {
        errors: errors.flatMap((each) => (isNew(each) ? [errorOf(each, seen)] : [])),
      }),
    };
  } catch {
    return { name: "Error", message: "an error that cannot be read" };
  }
}

type AnyError = Error & { readonly code?: unknown; readonly errors?: unknown };

/** Also holds for an error of another realm, such as a context of node:vm. */
function isError(thrown: unknown): thrown is AnyError {
  return thrown instanceof Error || Object.prototype.toString.call(thrown) === "[object Error]";
}

/** 0 is the code of a DOMException that has none. */
function isCode(code: unknown): boolean {
  return (typeof code === "string" || typeof code === "number") && Boolean(code);
}

/** A value as text, whose conversion may throw again. */
export function textOf(value: unknown): string {
  try {
    return String(value).slice(0, MAX_TEXT);
  } catch {
    return "a value without a text";
  }
}
