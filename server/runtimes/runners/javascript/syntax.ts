/** Says why a source does not parse: what is wrong, the line and the column, and the line itself. */
import { spawnSync } from "node:child_process";
// Imported as a whole, because Bun lacks a function that only Node uses.
import * as modules from "node:module";
import * as vm from "node:vm";

/** A long line is shown from 60 characters before the fault to 60 behind it. */
const SHOWN = 60;
/** 10 seconds, after which the check of a module gives up. */
const CHECK_TIMEOUT_MS = 10_000;

/** The code of an error about types that Node cannot strip. */
export const UNSUPPORTED_TYPES = "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX";

interface Fault {
  readonly message: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1; `Infinity` for the end of the line. */
  readonly column: number;
}

/** An error of Bun's parser. */
interface BuildMessage {
  readonly message: string;
  readonly position: Pick<Fault, "line" | "column"> | null;
  /** The errors, where there are several. */
  readonly errors?: readonly BuildMessage[];
}

/** A global of Bun; Node has none. */
declare const Bun: {
  Transpiler: new (options: { loader: "ts" }) => { transformSync(text: string): string };
};

/** The form of a source: an ES module, or one expression. */
export type Form = "module" | "expression";

/** Why a source does not parse: `MESSAGE (line N, column N)`, and the line. */
export function faultOf(source: string, form: Form): string {
  // An assignment ends with the source. A parenthesis behind the source would be at fault instead.
  const fault =
    form === "module"
      ? faultIn(source, sayOfModule)
      : (shifted(faultIn(`_=${source}`, sayOfScript), 2) ??
        shifted(faultIn(`(${source}\n)`, sayOfScript), 1));
  return described(fault, source);
}

/** @param say returns what the engine says about a text; undefined for a text that parses. */
function faultIn(text: string, say: (text: string) => string | undefined): Fault | undefined {
  if (process.versions.bun !== undefined) return faultByBun(text);
  try {
    return placeIn(say(modules.stripTypeScriptTypes(text)));
  } catch (reason) {
    const { stack, code } = reason as NodeJS.ErrnoException;
    const types = withTabs(placeIn(stack), text);
    if (code === UNSUPPORTED_TYPES) return types;
    // The engine stops at a type at the latest. Where both stop, its message is the better one.
    const engine = placeIn(say(text));
    const isLater =
      engine && types && (types.line - engine.line || types.column - engine.column) > 0;
    return isLater ? types : (engine ?? types);
  }
}

function sayOfScript(text: string): string | undefined {
  try {
    new vm.Script(text);
    return undefined;
  } catch (error) {
    return (error as Error).stack;
  }
}

/** The error of a module has no place. Node prints the place when it checks a module. */
function sayOfModule(text: string): string | undefined {
  const { stderr } = spawnSync(process.execPath, ["--check", "--input-type=module", "-"], {
    input: text,
    encoding: "utf8",
    timeout: CHECK_TIMEOUT_MS,
  });
  return stderr;
}

function faultByBun(text: string): Fault | undefined {
  try {
    new Bun.Transpiler({ loader: "ts" }).transformSync(text);
    return undefined;
  } catch (error) {
    const { errors } = error as BuildMessage;
    const { message, position } = errors?.[0] ?? (error as BuildMessage);
    return position ? { message, line: position.line, column: position.column } : undefined;
  }
}

/** The fault in a stack that begins with `FILE:LINE`, the line, and a line with `^` below it. */
function placeIn(stack = ""): Fault | undefined {
  const [, line, carets = ""] = /^[^\n]*:(\d+)\n[^\n]*\n([^\n]*)\n/.exec(stack) ?? [];
  const [, message] = /^SyntaxError(?: \[\w+\])?: (.*)$/m.exec(stack) ?? [];
  if (line === undefined || message === undefined) return undefined;
  const at = carets.indexOf("^");
  return { message, line: Number(line), column: at < 0 ? Number.POSITIVE_INFINITY : at + 1 };
}

/** A fault whose column counts a tab as blanks up to the next multiple of 4. */
function withTabs(fault: Fault | undefined, text: string): Fault | undefined {
  if (!fault || fault.column === Number.POSITIVE_INFINITY) return fault;
  const line = text.split("\n")[fault.line - 1] ?? "";
  let column = 1;
  for (let width = 1; width < fault.column; column++)
    width += line[column - 1] === "\t" ? 4 - ((width - 1) % 4) : 1;
  return { ...fault, column };
}

/** A fault in a source that is preceded by `before` characters. */
function shifted(fault: Fault | undefined, before: number): Fault | undefined {
  return fault?.line === 1 ? { ...fault, column: Math.max(1, fault.column - before) } : fault;
}

function described(fault: Fault | undefined, source: string): string {
  if (!fault) return "expected JavaScript or TypeScript";
  const lines = source.split("\n");
  // A fault behind the last line is at the end of the source.
  const row = Math.min(fault.line, lines.length);
  const text = (lines[row - 1] as string).trimEnd();
  const column = row < fault.line ? text.length + 1 : Math.min(fault.column, text.length + 1);
  const from = Math.max(0, column - 1 - SHOWN);
  const shown = text.slice(from, column - 1 + SHOWN);
  const blanks = shown.slice(0, column - 1 - from).replace(/[^\t]/g, " ");
  return `${fault.message} (line ${row}, column ${column})\n  ${shown}\n  ${blanks}^`;
}
