/** The runtimes of one pool: those whose programs its sandbox shows. A new one: its file here, and its line in the table. */
import type { ChildSpec, SandboxLevel } from "../../openapi/schemas.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";
import type { Confinement } from "../sandbox/confinement.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { bun } from "./bun.ts";
import { commandRuntime } from "./command.ts";
import { type ConfiguredRuntimes, configuredRuntime } from "./configured.ts";
import type { Definition, Machine } from "./definition.ts";
import { FunctionRuntime } from "./function.ts";
import { node } from "./node.ts";
import { python } from "./python.ts";
import type { FunctionCall, Runtime } from "./runtime.ts";
import { Tasks } from "./tasks.ts";

const TABLE: Readonly<Record<string, Definition>> = { node, python, bun };

/** A program that takes longer to say that it is there is not. */
const PROBE_TIMEOUT_MS = 10_000;
/** What was found in this process; the machine does not change under it. */
const found = new Map<string, Promise<boolean>>();

interface Entry {
  readonly runtime: Runtime;
  readonly javascript: boolean;
}

export interface RuntimesOptions {
  readonly sandbox: Sandbox;
  readonly confinement: Confinement;
  readonly path: string;
  readonly configured: ConfiguredRuntimes;
  /** Those whose folder its children see. Default: none. */
  readonly tasks?: Tasks;
}

export class Runtimes {
  /** Runs commands. */
  readonly command = commandRuntime;
  readonly #entries: ReadonlyMap<string, Entry>;

  readonly #tasks: Tasks;
  readonly #level: SandboxLevel;

  private constructor(entries: ReadonlyMap<string, Entry>, tasks: Tasks, level: SandboxLevel) {
    this.#entries = entries;
    this.#tasks = tasks;
    this.#level = level;
  }

  /** Finds out which runtimes there are. */
  static async open({ sandbox, confinement, path, configured, tasks = new Tasks(undefined) }: RuntimesOptions): Promise<Runtimes> {
    // Where only some commands may run, no function does but the operator's own.
    if (confinement.grants.commands !== undefined && tasks.names.length === 0) return new Runtimes(new Map(), tasks, sandbox.level);
    const machine: Machine = { path, folder: sandbox.folder };
    const has = (argv: readonly string[], readOnly: Parameters<typeof isThere>[1]) => isThere(argv, readOnly, sandbox, confinement);
    const built = Object.entries(TABLE).map(async ([name, definition]): Promise<[string, Entry | undefined]> => {
      const runner = await definition(machine);
      if (!runner || !(await has(runner.probe, runner.readOnly))) return [name, undefined];
      const runtime = new FunctionRuntime({ ...runner, readOnly: [...runner.readOnly, ...tasks.readOnly] });
      return [name, { runtime, javascript: runner.javascript }];
    });
    const own = Object.entries(configured).map(async ([name, { command }]): Promise<[string, Entry | undefined]> => {
      const there = await has(["/bin/sh", "-c", 'command -v "$1"', "sh", command[0] ?? ""], []);
      return [name, there ? { runtime: configuredRuntime(command), javascript: false } : undefined];
    });
    const entries = await Promise.all([...built, ...own]);
    return new Runtimes(new Map(entries.flatMap(([name, entry]) => (entry ? [[name, entry] as const] : []))), tasks, sandbox.level);
  }

  /** Their names. */
  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** The names of the tasks. */
  get tasks(): string[] {
    return this.#tasks.names;
  }

  /** The function that a spec asks for; undefined for a command. @throws {PoolError} `task_not_found`. */
  callOf({ function: fn, task }: Pick<ChildSpec, "function" | "task">): FunctionCall | undefined {
    return task ? this.#tasks.callOf(task, this.#level) : fn;
  }

  /** @throws {PoolError} `runtime_not_found`; `invalid_request` for what the runtime cannot carry. */
  of({ runtime: name, encoding, file }: FunctionCall): Runtime {
    const entry = this.#entries.get(name);
    if (!entry) throw PoolError.of("runtime_not_found", `expected one of ${this.names.join(", ") || "no runtime"}; got ${name}`);
    if (encoding === "devalue" && !entry.javascript) {
      const message = `expected json: devalue is for JavaScript; runtime ${name} is another language's`;
      const path = `/${file === undefined ? "function" : "task"}/encoding`;
      throw PoolError.of("invalid_request", `${path}: ${message}`, { fields: [{ path, message }] });
    }
    return entry.runtime;
  }
}

/** Whether a program of a runtime runs in a pool's sandbox. */
function isThere(
  argv: readonly string[],
  readOnly: readonly { readonly from: string; readonly to: string }[],
  sandbox: Sandbox,
  confinement: Confinement,
): Promise<boolean> {
  const key = JSON.stringify([argv, readOnly.map(({ to }) => to), readOnly[0]?.from, sandbox.level, confinement]);
  const asked = found.get(key) ?? runs(argv, readOnly, sandbox, confinement);
  found.set(key, asked);
  return asked;
}

async function runs(
  argv: readonly string[],
  readOnly: readonly { readonly from: string; readonly to: string }[],
  sandbox: Sandbox,
  confinement: Confinement,
): Promise<boolean> {
  const process = await sandbox.launch({ argv, env: {}, readOnly, channel: false, stdin: false }, confinement);
  const timer = setTimeout(() => process.kill(), PROBE_TIMEOUT_MS);
  process.stdout.resume();
  process.stderr.resume();
  const { exitCode } = await process.exited;
  clearTimeout(timer);
  return exitCode === 0;
}
