/** The configuration file: YAML, checked by the same tables as the command line. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { messageOf } from "../../openapi/errors.ts";
import { poolFaults, runtimeFaults } from "../member/check-options.ts";
import { type Fault, shown, unknownKey } from "../member/options/faults.ts";
import type { Option } from "../member/options/option.ts";
import { configurationOf, isSwitch, type OptionValues, parseOption } from "./command-options.ts";
import type { Parsed } from "./parse.ts";
import { UsageError } from "./usage-error.ts";
import { type Path, YamlDocument, type YamlNode } from "./yaml-document.ts";

/** 64 KiB: a member parses the file while it serves, and a longer one is a mistake. */
const MAX_BYTES = 64 * 1024;
/** 100 problems are shown; of further ones only the number. */
const MAX_PROBLEMS = 100;

/** A configuration file, and how it is to be read. */
export interface ConfigSource {
  readonly content: string;
  /** Names the file in problems. */
  readonly file: string;
  readonly command: "serve" | "dev";
  /** Pools of the command line, which may give the `maxChildren` that the file leaves out. */
  readonly flags?: OptionValues["pool"];
}

/**
 * Reads the text of a configuration file.
 *
 * @throws {UsageError} for a file that is not regular, is too long, or is not UTF-8.
 */
export async function readText(file: string): Promise<string> {
  const refuse = (message: string) => new UsageError(`${file}: ${message}`);
  try {
    // Without waiting: a named pipe may have no writer, and would block the member.
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
 * Adds a configuration file to a command line, which wins over it.
 *
 * @param content the file's text; `file` names it in errors.
 * @throws {UsageError} with a line for each problem.
 */
export function withFile(line: Parsed, content: string, file: string): Parsed {
  const command = line.command === "dev" ? "dev" : "serve";
  const config = new ConfigFile({ content, file, command, flags: line.values.pool });
  const { values, pools, runtimes, problems } = config;
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
  return { ...line, pools, runtimes, values: { ...values, ...line.values } };
}

/** A configuration file as `serve` or `dev` takes it. Problems never throw; they are listed. */
export class ConfigFile {
  /** The options, as flags would give them. */
  readonly values: OptionValues;
  /** The pools as written; the member checks them once more. */
  pools: Readonly<Record<string, unknown>> = {};
  /** The runtimes as written; the member checks them once more. */
  runtimes: Readonly<Record<string, unknown>> = {};
  readonly #source: ConfigSource;
  readonly #document: YamlDocument;
  readonly #problems: { readonly line: number; readonly text: string }[] = [];

  constructor(source: ConfigSource) {
    this.#source = source;
    this.#document = new YamlDocument(source.content);
    for (const { line, message } of this.#document.problems) this.#add(line, message);
    const { entries } = this.#document;
    if (!entries) this.#report([], "expected options by name, such as port: 7400");
    const values: Record<string, unknown> = {};
    for (const [key, node] of entries ?? []) {
      if (key === "pools") this.pools = this.#readPools(node);
      else if (key === "runtimes") this.runtimes = this.#readRuntimes(node);
      else {
        const value = this.#readOption(key, node);
        if (value !== undefined) values[key] = value;
      }
    }
    this.values = values;
  }

  /** Every problem on a line of its own, by line: `file:line: key: expected …; got …`. */
  get problems(): readonly string[] {
    const lines = this.#problems.toSorted((a, b) => a.line - b.line).map(({ text }) => text);
    const more = lines.length - MAX_PROBLEMS;
    return more > 0
      ? [...lines.slice(0, MAX_PROBLEMS), `${this.#source.file}: and ${more} more`]
      : lines;
  }

  /** `file:line` of a key, or of the nearest key around it. */
  lineOf(path: Path): string {
    return `${this.#source.file}:${this.#document.lineOf(path)}`;
  }

  #add(line: number, message: string): void {
    this.#problems.push({ line, text: `${this.#source.file}:${line}: ${message}` });
  }

  #report(path: Path, message: string): void {
    const key = path.map(String).join(".");
    this.#add(this.#document.lineOf(path), key === "" ? message : `${key}: ${message}`);
  }

  #reportAll(faults: readonly Fault[]): void {
    for (const { path, message } of faults) this.#report(path, message);
  }

  #readPools(node: YamlNode): Record<string, unknown> {
    const pools = this.#document.valueOf(node) ?? {};
    if (!isMapping(pools)) {
      this.#report(
        ["pools"],
        `expected pools by name, such as pipeline: {maxChildren: 5}; got ${shown(pools)}`,
      );
      return {};
    }
    const flags = new Map(this.#source.flags);
    for (const [name, options] of Object.entries(pools)) {
      const maxChildren = flags.get(name);
      const isComplete = maxChildren === undefined || !isMapping(options);
      this.#reportAll(poolFaults(name, isComplete ? options : { maxChildren, ...options }));
    }
    return pools;
  }

  #readRuntimes(node: YamlNode): Record<string, unknown> {
    const runtimes = this.#document.valueOf(node) ?? {};
    this.#reportAll(runtimeFaults(runtimes));
    return runtimes as Record<string, unknown>;
  }

  /** An option's value; undefined for a switch that is off, and for a wrong value. */
  #readOption(key: string, node: YamlNode): unknown {
    const { command } = this.#source;
    const option = configurationOf(command).get(key);
    if (option === undefined) return this.#report([key], unknownOption(key, command));
    const value = this.#document.valueOf(node);
    const expected = expectedOf(option);
    if (!expected.types.includes(typeof value))
      return this.#report([key], `expected ${expected.words}; got ${shown(value)}`);
    if (value === false) return undefined;
    try {
      return parseOption(option, this.#document.textOf(node));
    } catch (error) {
      return this.#report([key], messageOf(error));
    }
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function expectedOf({ schema }: Option): { readonly types: string[]; readonly words: string } {
  return isSwitch(schema)
    ? { types: ["boolean"], words: "true or false" }
    : { types: ["string", "number"], words: "a text or a number" };
}

/** Names the keys that a command takes; a key of the other command alone is named as that. */
function unknownOption(key: string, command: "serve" | "dev"): string {
  const keys = ["pools", "runtimes", ...configurationOf(command).keys()];
  const other = command === "dev" ? "serve" : "dev";
  return configurationOf(other).has(key)
    ? `expected one of ${keys.join(", ")}; got ${shown(key)}, which only ${other} takes`
    : unknownKey(key, keys);
}
