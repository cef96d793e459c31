/** The configuration file: YAML that is checked by the same table as the command line, with the place of every mistake. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from "yaml";
import { messageOf } from "../../openapi/errors.ts";
import { poolFaults, runtimeFaults, shown, unknownKey } from "../member/check-options.ts";
import {
  COMMANDS,
  camelCase,
  type Given,
  OPTIONS,
  type Option,
  type Parsed,
  UsageError,
} from "./options.ts";

/** More than that is a mistake; parsing it would hold up the member that reads it again while it serves. */
const MAX_BYTES = 64 * 1024;
/** Further problems are counted only. */
const MAX_PROBLEMS = 100;
/** How often aliases may repeat what they name, all together, before it is an attack. */
const MAX_ALIASES = 100;

type Path = readonly PropertyKey[];

export interface ConfigFile {
  /** The options, as flags would have given them. */
  readonly given: Given;
  /** The pools as written, for the member to check once more. */
  readonly pools: Readonly<Record<string, unknown>>;
  /** The same of the runtimes. */
  readonly runtimes: Readonly<Record<string, unknown>>;
  /** Everything that is wrong, a line each: `file:line: key: expected …; got …`. */
  readonly problems: readonly string[];
  /** Where a key, or the nearest one around it, stands: `file:line`. */
  placeOf(path: Path): string;
}

/** The text of a configuration file. @throws {UsageError} for what is no regular file, too long, or not UTF-8. */
export async function readText(file: string): Promise<string> {
  const refuse = (message: string) => new UsageError(`${file}: ${message}`);
  try {
    // Without waiting: a named pipe has nobody at its other end.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await handle.stat()).isFile())
        throw refuse("expected a regular file; got something else");
      const buffer = Buffer.alloc(MAX_BYTES + 1);
      let length = 0;
      for (let read = 1; read > 0; length += read)
        ({ bytesRead: read } = await handle.read(buffer, length, buffer.length - length));
      if (length > MAX_BYTES) throw refuse(`expected at most ${MAX_BYTES} bytes; got more`);
      return new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw error instanceof UsageError ? error : refuse(messageOf(error));
  }
}

/**
 * Reads a configuration file as `serve` or `dev` takes it. Never throws: what is wrong is in `problems`.
 *
 * @param content its text; `file` names it in problems.
 * @param flags the pools of the command line, which may say the `maxChildren` that the file leaves out.
 */
export function parseConfig(
  content: string,
  file: string,
  command: "serve" | "dev",
  flags: Given["pool"] = [],
): ConfigFile {
  const lines = new LineCounter();
  const found: { readonly line: number; readonly text: string }[] = [];
  const add = (line: number, text: string) =>
    found.push({ line, text: `${file}:${line}: ${text}` });
  const lineAt = (offset: number) => lines.linePos(offset).line;
  const document = parsed(content, lines, (offset, message) => add(lineAt(offset), message));
  const lineOf = (path: Path) => lineAt(document ? offsetOf(document, path) : 0);
  const report = (path: Path, message: string) =>
    add(lineOf(path), path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`);

  const given: Record<string, unknown> = {};
  let pools: Record<string, unknown> = {};
  let runtimes: Record<string, unknown> = {};
  const names = wordsOf(command);
  const other = command === "dev" ? "serve" : "dev";
  const root = document?.contents ?? null;
  if (isMap(root)) {
    for (const pair of root.items) {
      const key = textOf(pair);
      const name = names.get(key);
      if (key === "pools") pools = readPools(pair.value, document as Document, flags, report);
      else if (key === "runtimes")
        runtimes = readRuntimes(pair.value, document as Document, report);
      else if (name === undefined && wordsOf(other).has(key))
        report(
          [key],
          `expected one of pools, runtimes, ${[...names.keys()].join(", ")}; got ${shown(key)}, which only ${other} takes`,
        );
      else if (name === undefined)
        report([key], unknownKey(key, ["pools", "runtimes", ...names.keys()]));
      else {
        const value = readOption(
          OPTIONS[name],
          pair.value as Node | null,
          document as Document,
          (path, message) => report([key, ...path], message),
        );
        if (value !== undefined) given[name] = value;
      }
    }
  } else if (root !== null && !(isScalar(root) && root.value === null))
    report([], "expected options by name, such as port: 7400");

  const problems = found.toSorted((a, b) => a.line - b.line).map(({ text }) => text);
  const more = problems.length - MAX_PROBLEMS;
  return {
    given: given as Given,
    pools,
    runtimes,
    problems:
      more > 0 ? [...problems.slice(0, MAX_PROBLEMS), `${file}: and ${more} more`] : problems,
    placeOf: (path) => `${file}:${lineOf(path)}`,
  };
}

/** The options that a command takes from a file, by their words in it. */
function wordsOf(
  command: "serve" | "dev",
): ReadonlyMap<
  string,
  Exclude<(typeof COMMANDS)["serve" | "dev"]["options"][number], "pool" | "config">
> {
  return new Map(
    COMMANDS[command].options
      .filter((name) => name !== "pool" && name !== "config")
      .map((name) => [camelCase(name), name]),
  );
}

/**
 * Adds what a configuration file says to a command line, which wins over it.
 *
 * @param content the file's text; `file` names it in errors.
 * @throws {UsageError} that has a line for everything that is wrong.
 */
export function withFile(line: Parsed, content: string, file: string): Parsed {
  const { given, pools, runtimes, problems } = parseConfig(
    content,
    file,
    line.command === "dev" ? "dev" : "serve",
    line.given.pool,
  );
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
  return { ...line, pools, runtimes, given: { ...given, ...line.given } };
}

/** The document, or undefined where it can be of no use; `report` is told why. */
function parsed(
  content: string,
  lineCounter: LineCounter,
  report: (offset: number, message: string) => void,
): Document | undefined {
  try {
    const document = parseDocument(content, {
      lineCounter,
      prettyErrors: false,
      logLevel: "error",
    });
    const troubles = [...document.errors, ...document.warnings];
    for (const { message, pos } of troubles) report(pos[0], `expected YAML: ${message}`);
    if (troubles.length > 0) return undefined;
    // Throws at aliases that multiply, and at those that contain themselves.
    JSON.stringify(document.toJS({ maxAliasCount: MAX_ALIASES }));
    return document;
  } catch (error) {
    report(0, `expected YAML: ${messageOf(error).split("\n")[0]}`);
    return undefined;
  }
}

/** Where a key stands, or as much of its path as there is. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    const items: readonly unknown[] = isMap(node) || isSeq(node) ? node.items : [];
    const item = isMap(node)
      ? node.items.find((pair) => textOf(pair) === String(key))
      : items[Number(key)];
    if (item === undefined) break;
    const [at, value] = isMap(node) ? [(item as Pair).key, (item as Pair).value] : [item, item];
    offset = (at as Node | null)?.range?.[0] ?? offset;
    node = value;
  }
  return offset;
}

function textOf({ key }: Pair): string {
  return isScalar(key) ? String(key.value) : String(key);
}

type Report = (path: Path, message: string) => void;

/** The pools as they are written; what is wrong with them is reported. */
function readPools(
  node: unknown,
  document: Document,
  flags: NonNullable<Given["pool"]>,
  report: Report,
): Record<string, unknown> {
  const value: unknown =
    (node as Node | null)?.toJS(document, { maxAliasCount: MAX_ALIASES }) ?? {};
  if (typeof value !== "object" || Array.isArray(value)) {
    report(
      ["pools"],
      `expected pools by name, such as pipeline: {maxChildren: 5}; got ${shown(value)}`,
    );
    return {};
  }
  const flagged = new Map(flags);
  for (const [name, options] of Object.entries(value as object)) {
    const maxChildren = flagged.get(name);
    const isMapping = typeof options === "object" && options !== null && !Array.isArray(options);
    const complete = isMapping && maxChildren !== undefined ? { maxChildren, ...options } : options;
    for (const { path, message } of poolFaults(name, complete)) report(path, message);
  }
  return value as Record<string, unknown>;
}

/** The runtimes as they are written; what is wrong with them is reported. */
function readRuntimes(node: unknown, document: Document, report: Report): Record<string, unknown> {
  const value: unknown =
    (node as Node | null)?.toJS(document, { maxAliasCount: MAX_ALIASES }) ?? {};
  for (const { path, message } of runtimeFaults(value)) report(path, message);
  return value as Record<string, unknown>;
}

/** An option's value by the table's own parser; undefined for none, or for one that is wrong, which is reported. */
function readOption(
  option: Option<unknown>,
  node: Node | null,
  document: Document,
  report: Report,
): unknown {
  const resolved = isAlias(node) ? node.resolve(document) : node;
  if (option.repeatable && isSeq(resolved))
    return resolved.items
      .map((item, index) => one(item as Node, [index]))
      .filter((value) => value !== undefined);
  const value = one(resolved, []);
  return option.repeatable && value !== undefined ? [value] : value;

  function one(item: Node | null | undefined, path: Path): unknown {
    const scalar = isAlias(item) ? item.resolve(document) : item;
    const given: unknown = scalar?.toJS(document, { maxAliasCount: MAX_ALIASES }) ?? null;
    const [kinds, wanted] = option.value
      ? [["string", "number"], "a text or a number"]
      : [["boolean"], "true or false"];
    if (!kinds.includes(typeof given)) {
      report(path, `expected ${wanted}; got ${shown(given)}`);
      return undefined;
    }
    if (given === false) return undefined;
    // A number as it is written: 007 may be a name.
    const text =
      typeof given === "number" && isScalar(scalar)
        ? (scalar.source ?? String(given))
        : String(given);
    try {
      return option.parse(text, "");
    } catch (error) {
      report(path, messageOf(error).replace(/^: /, ""));
      return undefined;
    }
  }
}
