/** The configuration file: YAML, checked by the same tables as the command line. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { messageOf } from "../../openapi/errors.ts";
import { poolFaults, runtimeFaults } from "../member/check-options.ts";
import { shown, unknownKey } from "../member/options/expectation.ts";
import type { Fault } from "../member/options/faults.ts";
import { withoutUndefined } from "../sandbox/confinement.ts";
import { configurationOf } from "./command-options.ts";
import { isSwitch, parseOption } from "./options/values.ts";
import type { Parsed } from "./parse.ts";
import { UsageError } from "./usage-error.ts";
import { type Path, YamlDocument, type YamlNode, type YamlProblem } from "./yaml-document.ts";

/** 64 KiB: a member parses the file while it serves, and a longer one is a mistake. */
const MAX_BYTES = 64 * 1024;
/** 100 problems are shown; of further ones only the number. */
const MAX_PROBLEMS = 100;

/**
 * Reads the text of a configuration file.
 *
 * @throws {UsageError} for a file that is not regular, is too long, or is not UTF-8.
 */
export async function readText(file: string): Promise<string> {
  try {
    // Without waiting: a named pipe may have no writer, and would block the member.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await handle.stat()).isFile())
        throw new Error("expected a regular file; got something else");
      // `end` is the last byte that is read: one more than a file may have.
      const bytes = await buffer(handle.createReadStream({ end: MAX_BYTES }));
      if (bytes.length > MAX_BYTES)
        throw new Error(`expected at most ${MAX_BYTES} bytes; got more`);
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new UsageError(`${file}: ${messageOf(error)}`);
  }
}

/**
 * Adds a configuration file to a command line, which wins over it.
 *
 * @param content the file's text; `file` names it in errors.
 * @throws {UsageError} with a line for each problem.
 */
export function withFile(line: Parsed, content: string, file: string): Parsed {
  const { parsed, problems } = new ConfigFile(line, content, file);
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
  return parsed;
}

/** A configuration file as `serve` or `dev` takes it. Problems never throw; they are listed. */
export class ConfigFile {
  /**
   * The command line with the options of the file, as flags would give them, and with its pools and
   * runtimes as written; the member checks those once more.
   */
  readonly parsed: Parsed;
  readonly #line: Parsed;
  readonly #file: string;
  readonly #document: YamlDocument;
  readonly #problems: YamlProblem[];

  /**
   * @param line the command line of `serve` or `dev`. Its pools may give the `maxChildren` that the
   *   file leaves out.
   * @param file names the file in problems.
   */
  constructor(line: Parsed, content: string, file: string) {
    this.#line = line;
    this.#file = file;
    this.#document = new YamlDocument(content);
    const { problems, entries } = this.#document;
    this.#problems = [...problems];
    if (!entries) this.#report([], "expected options by name, such as port: 7400");
    const { pools, runtimes, ...nodes }: Record<string, YamlNode> = Object.fromEntries(
      entries ?? [],
    );
    const values = Object.entries(nodes).map(([key, node]) => [key, this.#readOption(key, node)]);
    this.parsed = {
      ...line,
      pools: this.#readPools(pools),
      runtimes: this.#readRuntimes(runtimes),
      values: { ...withoutUndefined(Object.fromEntries(values)), ...line.values },
    };
  }

  /** Every problem on a line of its own, by line: `file:line: key: expected …; got …`. */
  get problems(): readonly string[] {
    const lines = this.#problems
      .toSorted((a, b) => a.line - b.line)
      .map(({ line, message }) => `${this.#file}:${line}: ${message}`);
    const more = lines.length - MAX_PROBLEMS;
    return more > 0 ? [...lines.slice(0, MAX_PROBLEMS), `${this.#file}: and ${more} more`] : lines;
  }

  /** `file:line` of a key, or of the nearest key around it. */
  lineOf(path: Path): string {
    return `${this.#file}:${this.#document.lineOf(path)}`;
  }

  #report(path: Path, message: string): void {
    const key = path.length > 0 ? `${path.map(String).join(".")}: ` : "";
    this.#problems.push({ line: this.#document.lineOf(path), message: key + message });
  }

  #reportAll(faults: readonly Fault[]): void {
    for (const { path, message } of faults) this.#report(path, message);
  }

  #readPools(node: YamlNode = null): Record<string, unknown> {
    const pools = this.#document.valueOf(node) ?? {};
    if (!isMapping(pools)) {
      this.#report(
        ["pools"],
        `expected pools by name, such as pipeline: {maxChildren: 5}; got ${shown(pools)}`,
      );
      return {};
    }
    const flags = new Map(this.#line.values.pool);
    for (const [name, options] of Object.entries(pools)) {
      const maxChildren = flags.get(name);
      const isPart = maxChildren !== undefined && isMapping(options);
      this.#reportAll(poolFaults(name, isPart ? { maxChildren, ...options } : options));
    }
    return pools;
  }

  #readRuntimes(node: YamlNode = null): Record<string, unknown> {
    const runtimes = this.#document.valueOf(node) ?? {};
    this.#reportAll(runtimeFaults(runtimes));
    return runtimes as Record<string, unknown>;
  }

  /** An option's value; undefined for a switch that is off, and for a wrong value. */
  #readOption(key: string, node: YamlNode): unknown {
    const option = configurationOf(this.#line.command).get(key);
    if (option === undefined) return this.#report([key], this.#unknownOption(key));
    const value = this.#document.valueOf(node);
    const [types, expected] = isSwitch(option)
      ? [["boolean"], "true or false"]
      : [["string", "number"], "a text or a number"];
    if (!types.includes(typeof value))
      return this.#report([key], `expected ${expected}; got ${shown(value)}`);
    if (value === false) return undefined;
    try {
      return parseOption(option, this.#document.textOf(node));
    } catch (error) {
      return this.#report([key], messageOf(error));
    }
  }

  /** Names the keys that a command takes; a key of the other command alone is named as that. */
  #unknownOption(key: string): string {
    const { command } = this.#line;
    const keys = ["pools", "runtimes", ...configurationOf(command).keys()];
    const other = command === "dev" ? "serve" : "dev";
    return configurationOf(other).has(key)
      ? `expected one of ${keys.join(", ")}; got ${shown(key)}, which only ${other} takes`
      : unknownKey(key, keys);
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
