/** Says why a source does not parse: what is wrong, where, and the line itself. */
// Imported as a whole, because Bun lacks a function that only Node uses.
import * as modules from "node:module";
import * as vm from "node:vm";

/** A long line is shown from 60 characters before the fault to 60 behind it. */
const SHOWN = 60;

/** The code of an error about types that Node cannot strip. */
export const UNSUPPORTED_TYPES = "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX";

interface Place {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1; `Infinity` for the end of the line. */
  readonly column: number;
}

interface Fault {
  readonly message: string;
  /** Undefined where it is not known. */
  readonly place: Place | undefined;
}

/** An error of Bun's parser. */
interface BuildMessage {
  readonly message: string;
  readonly position: Place | null;
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
      ? faultIn(source, faultOfModule)
      : (shifted(faultIn(`_=${source}`, faultOfScript), 2) ??
        shifted(faultIn(`(${source}\n)`, faultOfScript), 1));
  return described(fault, source);
}

/** @param engine returns the fault that the engine finds; undefined for a text that parses. */
function faultIn(text: string, engine: (text: string) => Fault | undefined): Fault | undefined {
  if (process.versions.bun !== undefined) return faultByBun(text);
  try {
    return engine(modules.stripTypeScriptTypes(text));
  } catch (error) {
    const { stack, code } = error as NodeJS.ErrnoException;
    const types = withTabs(faultOfStack(stack), text);
    if (code === UNSUPPORTED_TYPES) return types;
    // The engine knows better where the fault is, unless it stops at a type.
    const found = engine(text);
    if (!found?.place || isAtType(found.place, text)) return types;
    // It marks no column beyond the 1,020th.
    const isVague = found.place.column === Number.POSITIVE_INFINITY;
    return isVague && types.place?.line === found.place.line ? types : found;
  }
}

function faultOfScript(text: string): Fault | undefined {
  try {
    new vm.Script(text);
    return undefined;
  } catch (error) {
    return faultOfStack((error as Error).stack);
  }
}

const FUNCTION = "async()=>{";

/** The error of a module has no place. A function with the same statements has the same fault. */
function faultOfModule(text: string): Fault | undefined {
  try {
    new vm.SourceTextModule(text);
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    const blank = (words: string) => words.replace(/\S/g, " ");
    const statements = text.replace(/\bexport(\s+default)?(?=\s)|\bimport\s[^;'"]*from\b/g, blank);
    const found = shifted(faultOfScript(`${FUNCTION}${statements}\n}`), FUNCTION.length);
    return found?.message === message ? found : { message, place: undefined };
  }
}

function faultByBun(text: string): Fault | undefined {
  try {
    new Bun.Transpiler({ loader: "ts" }).transformSync(text);
    return undefined;
  } catch (error) {
    const { errors } = error as BuildMessage;
    const { message, position } = errors?.[0] ?? (error as BuildMessage);
    return { message, place: position ?? undefined };
  }
}

/** Words that only TypeScript has, and text behind the place where an engine stops at a type. */
const WORDS =
  "abstract|declare|interface|namespace|override|private|protected|public|readonly|type";
const BEFORE_TYPE = new RegExp(`\\b(${WORDS})\\s*$`);
const TYPE = new RegExp(
  `^([:?<!]|(as|satisfies|implements)\\b|((export|import)\\s+)?(${WORDS})\\b)`,
);

function isAtType({ line, column }: Place, text: string): boolean {
  const stop = text.split("\n")[line - 1] ?? "";
  return TYPE.test(stop.slice(column - 1)) || BEFORE_TYPE.test(stop.slice(0, column - 1));
}

/** The fault in a stack. Where it begins with `FILE:LINE`, a line of `^` marks the column. */
function faultOfStack(stack = ""): Fault {
  const [, message = stack] = /^SyntaxError(?: \[\w+\])?: (.*)$/m.exec(stack) ?? [];
  const [, line] = /^[^\n]*:(\d+)\n/.exec(stack) ?? [];
  const [carets = ""] = /^\s*\^+\s*$/m.exec(stack) ?? [];
  const column = carets.indexOf("^") + 1 || Number.POSITIVE_INFINITY;
  return { message, place: line === undefined ? undefined : { line: Number(line), column } };
}

/** A fault whose column counts a tab as blanks up to the next multiple of 4. */
function withTabs({ message, place }: Fault, text: string): Fault {
  if (place?.column === undefined || place.column === Number.POSITIVE_INFINITY)
    return { message, place };
  const line = text.split("\n")[place.line - 1] ?? "";
  let column = 1;
  for (let width = 1; width < place.column; column++)
    width += line[column - 1] === "\t" ? 4 - ((width - 1) % 4) : 1;
  return { message, place: { ...place, column } };
}

/** A fault in a source that is preceded by `before` characters. */
function shifted(fault: Fault | undefined, before: number): Fault | undefined {
  if (fault?.place?.line !== 1) return fault;
  const { message, place } = fault;
  return { message, place: { line: 1, column: Math.max(1, place.column - before) } };
}

function described(fault: Fault | undefined, source: string): string {
  if (!fault?.place) return fault?.message ?? "expected JavaScript or TypeScript";
  const { message, place } = fault;
  const lines = source.split("\n");
  // A fault behind the last line is at the end of the source.
  const row = Math.min(place.line, lines.length);
  const text = (lines[row - 1] as string).trimEnd();
  const column = row < place.line ? text.length + 1 : Math.min(place.column, text.length + 1);
  const from = Math.max(0, column - 1 - SHOWN);
  const shown = text.slice(from, column - 1 + SHOWN);
  const blanks = shown.slice(0, column - 1 - from).replace(/[^\t]/g, " ");
  return `${message} (line ${row}, column ${column})\n  ${shown}\n  ${blanks}^`;
}
