/** Loads the function of a job from JavaScript or TypeScript: one expression, or an export. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
// Imported as a whole, because Bun lacks a function that only Node uses.
import * as modules from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as vm from "node:vm";
import type { Job } from "../../functions/messages.ts";

type Fn = (...args: unknown[]) => unknown;
type Module = Readonly<Record<string, unknown>>;

/** A source that is not a function. The message is for the caller. */
export class InvalidSource extends Error {}

/** Bun runs TypeScript itself, and its errors name the lines of the original. */
const IS_BUN = process.versions.bun !== undefined;

/**
 * The function that a job names.
 *
 * @throws {InvalidSource} for a source that does not parse or is not a function.
 * @throws the error of a module that throws while it is loaded.
 */
export async function load({
  source = "",
  file,
  export: name,
}: Pick<Job, "source" | "file" | "export">): Promise<Fn> {
  if (file !== undefined) return exportOf(await importFile(file), name ?? "default", file);
  if (name !== undefined) {
    const module = IS_BUN
      ? importSource("function.ts", source)
      : importSource("function.mjs", javascriptOf(source, parseModule));
    return exportOf(await module, name, "function.source");
  }
  const expression = `(${source}\n)`;
  const value = IS_BUN
    ? (await importSource("function.ts", `export default ${expression}`)).default
    : scriptOf(javascriptOf(expression, scriptOf)).runInThisContext();
  return expectFunction(value, "function.source: expected one function expression");
}

function importFile(file: string): Promise<Module> {
  return import(pathToFileURL(file).href) as Promise<Module>;
}

async function importSource(name: string, source: string): Promise<Module> {
  const folder = mkdtempSync(join(tmpdir(), "function-"));
  try {
    const file = join(folder, name);
    writeFileSync(file, source);
    return await importFile(file);
  } catch (error) {
    const { position } = error as { position?: { line?: unknown; file?: unknown } | null };
    const isOwn =
      IS_BUN &&
      (error as Error).name === "BuildMessage" &&
      String(position?.file).startsWith(folder);
    throw isOwn
      ? new InvalidSource(
          `function.source does not parse: ${(error as Error).message} (line ${position?.line})`,
        )
      : error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A script of one expression. Column -1 makes up for the parenthesis before the expression. */
function scriptOf(text: string): vm.Script {
  return new vm.Script(text, {
    filename: "function.js",
    columnOffset: -1,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

function parseModule(text: string): void {
  new vm.SourceTextModule(text);
}

/**
 * A source as JavaScript: the source itself where it parses, or else without its types. Blanks
 * replace the types, so that lines and columns stay.
 */
function javascriptOf(source: string, parse: (text: string) => void): string {
  try {
    parse(source);
    return source;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    let stripped: string;
    try {
      stripped = modules.stripTypeScriptTypes(source);
      parse(stripped);
    } catch (reason) {
      if ((reason as { code?: unknown }).code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
        const { message } = reason as Error;
        throw new InvalidSource(
          `function.source: its types cannot be stripped: ${message}${lineIn(reason)}; ` +
            "runtime bun takes all of TypeScript",
        );
      }
      throw new InvalidSource(
        `function.source does not parse: ${error.message}${lineIn(error) || lineIn(reason)}`,
      );
    }
    return stripped;
  }
}

/** The line number with which a parser's stack begins, as text in parentheses. */
function lineIn(error: unknown): string {
  const line = /^\S*:(\d+)\n/.exec(String((error as Error).stack))?.[1];
  return line === undefined ? "" : ` (line ${line})`;
}

function exportOf(module: Module, name: string, where: string): Fn {
  const names = Object.keys(module);
  if (!names.includes(name))
    throw new InvalidSource(
      `${where}: expected an export ${name}; it exports ${names.join(", ") || "nothing"}`,
    );
  return expectFunction(module[name], `${where}: expected export ${name} to be a function`);
}

function expectFunction(value: unknown, expectation: string): Fn {
  if (typeof value === "function") return value as Fn;
  throw new InvalidSource(`${expectation}; got ${value === null ? "null" : `a ${typeof value}`}`);
}
