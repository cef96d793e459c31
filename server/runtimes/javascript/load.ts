/** The function of a job, from JavaScript or TypeScript: one expression, or an export of a module. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { constants, Script } from "node:vm";
import type { Job } from "../messages.ts";

type Fn = (...args: unknown[]) => unknown;

/** A source that is no function; its message is for the caller. */
export class InvalidSource extends Error {}

const IS_BUN = process.versions.bun !== undefined;
/** The whole of an export's name without one. */
const DEFAULT = "default";

/**
 * The function that a job names.
 *
 * @throws {InvalidSource} for what does not parse or is no function; what a module throws while it is loaded.
 */
export async function load({ source = "", file, export: name }: Job): Promise<Fn> {
  if (file !== undefined) return exportOf(await importFile(file), name, file);
  if (name === undefined && !IS_BUN) return expectFunction(evaluate(source), "function.source: expected one function expression");
  const folder = mkdtempSync(join(tmpdir(), "function-"));
  try {
    // Bun takes TypeScript everywhere, and keeps the lines. Node takes it for JavaScript first, which it nearly always is.
    if (name === undefined) {
      const module = await importSource(folder, "function.ts", `export default (${source}\n)`);
      return expectFunction(module[DEFAULT], "function.source: expected one function expression");
    }
    const module = IS_BUN
      ? await importSource(folder, "function.ts", source)
      : await importSource(folder, "function.mjs", source).catch((error: unknown) => {
          // A module that does not parse has not run.
          if (!isParseError(error, folder)) throw error;
          return importSource(folder, "function.mts", source);
        });
    return exportOf(module, name, "function.source");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Module = Readonly<Record<string, unknown>>;

function importSource(folder: string, name: string, source: string): Promise<Module> {
  const file = join(folder, name);
  writeFileSync(file, source);
  return importFile(file);
}

async function importFile(file: string): Promise<Module> {
  try {
    return (await import(pathToFileURL(file).href)) as Module;
  } catch (error) {
    throw parseError(error, file) ?? error;
  }
}

function isParseError(error: unknown, folder: string): boolean {
  return error instanceof InvalidSource && error.cause instanceof SyntaxError && String(error.cause.stack).includes(folder);
}

/** What the parser says, if that is what an error is. */
function parseError(error: unknown, file?: string): InvalidSource | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, position } = error as { code?: unknown; position?: { line?: unknown } };
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
    return new InvalidSource(`the types cannot be stripped: ${error.message}${placeOf(error)}; expected erasable syntax, or runtime bun`, { cause: error });
  }
  if (error.name === "BuildMessage") return new InvalidSource(`the source does not parse: ${error.message} (line ${position?.line})`, { cause: error });
  const ofSource = code === "ERR_INVALID_TYPESCRIPT_SYNTAX" || file === undefined || String(error.stack).startsWith(pathToFileURL(file).href);
  if (!(error instanceof SyntaxError) || !ofSource) return undefined;
  return new InvalidSource(`the source does not parse: ${error.message}${placeOf(error)}`, { cause: error });
}

function placeOf({ stack }: Error): string {
  const line = /^\S+?:(\d+)\n/.exec(stack ?? "")?.[1];
  return line === undefined ? "" : ` (line ${line})`;
}

function exportOf(module: Module, name: string | undefined, where: string): Fn {
  const own = Object.keys(module);
  const wanted = name ?? DEFAULT;
  if (!own.includes(wanted)) throw new InvalidSource(`${where}: expected an export ${wanted}; it exports ${own.join(", ") || "nothing"}`);
  return expectFunction(module[wanted], `${where}: expected export ${wanted} to be a function`);
}

function expectFunction(value: unknown, expectation: string): Fn {
  if (typeof value === "function") return value as Fn;
  throw new InvalidSource(`${expectation}; got ${value === null ? "null" : `a ${typeof value}`}`);
}

/** Runs one expression. */
function evaluate(source: string): unknown {
  return script(source).runInThisContext();
}

function script(source: string): Script {
  const compile = (text: string) =>
    new Script(text, { filename: "function.js", columnOffset: -1, importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER });
  const text = `(${source}\n)`;
  try {
    return compile(text);
  } catch (error) {
    let stripped: string;
    try {
      // Blanks in the place of types: lines and columns stay.
      stripped = stripTypeScriptTypes(text);
    } catch (reason) {
      const unsupported = (reason as { code?: unknown }).code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX";
      throw parseError(unsupported ? reason : error) ?? error;
    }
    try {
      return compile(stripped);
    } catch {
      throw parseError(error) ?? error;
    }
  }
}
