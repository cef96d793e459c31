/** Loads the function of a job from JavaScript or TypeScript: one expression, or an export. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
// Imported as a whole, because Bun lacks a function that only Node uses.
import * as modules from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as vm from "node:vm";
import type { Job } from "../../functions/messages.ts";
import { SOURCE_FOLDER, useSourceMap } from "./source-map.ts";
import { type Form, faultOf, UNSUPPORTED_TYPES } from "./syntax.ts";

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
  if (name !== undefined)
    return exportOf(await importSource(source, "module"), name, "function.source");
  const value = IS_BUN
    ? (await importSource(source, "expression")).default
    : scriptOf(javascriptOf(source, "expression")).runInThisContext();
  return expectFunction(value, "function.source: expected one function expression");
}

function importFile(file: string): Promise<Module> {
  return import(pathToFileURL(file).href) as Promise<Module>;
}

/** Imports a source from a file that exists for this moment only. */
async function importSource(source: string, form: Form): Promise<Module> {
  const folder = mkdtempSync(SOURCE_FOLDER);
  try {
    const file = join(folder, IS_BUN ? "function.ts" : "function.mjs");
    const text = IS_BUN ? typescriptOf(source, form) : javascriptOf(source, form);
    writeFileSync(file, text);
    useSourceMap(text);
    return await importFile(file);
  } catch (error) {
    throw isOfBuild(error, folder) ? doesNotParse(source, form) : error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const typescriptOf = (source: string, form: Form) =>
  form === "module" ? source : `export default (${source}\n)`;

/** An error, or several, of Bun's parser. */
interface BuildError {
  readonly name: string;
  readonly position?: { readonly file: unknown } | null;
  readonly errors?: readonly BuildError[];
}

/** Whether Bun could not parse a file of the folder, rather than one that this imports. */
function isOfBuild(error: unknown, folder: string): boolean {
  if (!IS_BUN || !(error instanceof Error)) return false;
  const { name, position, errors } = error as BuildError;
  if (Array.isArray(errors)) return errors.some((each) => isOfBuild(each, folder));
  return name === "BuildMessage" && String(position?.file).startsWith(folder);
}

const doesNotParse = (source: string, form: Form) =>
  new InvalidSource(`function.source does not parse: ${faultOf(source, form)}`);

/** A script of one expression. Column -1 makes up for the parenthesis before the expression. */
function scriptOf(text: string): vm.Script {
  return new vm.Script(text, {
    filename: "function.js",
    columnOffset: -1,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

const PARSERS: Readonly<Record<Form, (text: string) => unknown>> = {
  expression: scriptOf,
  module: (text) => new vm.SourceTextModule(text),
};

/**
 * A source as JavaScript: the source itself where it parses, or else without its types. Blanks
 * replace the types, so that lines and columns stay. An expression is in parentheses.
 */
function javascriptOf(source: string, form: Form): string {
  const text = form === "module" ? source : `(${source}\n)`;
  const parse = PARSERS[form];
  if (parses(text, parse)) return text;
  try {
    const stripped = modules.stripTypeScriptTypes(text);
    if (parses(stripped, parse)) return stripped;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === UNSUPPORTED_TYPES)
      throw new InvalidSource(
        "function.source: its types cannot be stripped; runtime bun takes all of TypeScript: " +
          faultOf(source, form),
      );
  }
  throw doesNotParse(source, form);
}

function parses(text: string, parse: (text: string) => unknown): boolean {
  try {
    parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
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
