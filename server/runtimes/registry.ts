/** The runtimes of one pool: those whose programs its sandbox shows. A new one: its file here, and its line in the table. */
import { PoolError } from "../../openapi/errors.ts";
import type { SandboxLevel } from "../../openapi/limits.ts";
import type { ChildSpec } from "../../openapi/spec.ts";
import type { Confinement, ReadOnlyBind } from "../sandbox/confinement.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { bun } from "./bun.ts";
import { commandRuntime } from "./command.ts";
import { type ConfiguredRuntimes, configuredRuntime } from "./configured.ts";
import type { Definition, Machine } from "./definition.ts";
import { FunctionRuntime } from "./functions/function-runtime.ts";
import { Reuse } from "./functions/reuse.ts";
import type { StartQueue } from "./functions/start-queue.ts";
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
  /** How many of its processes wait for a call. */
  readonly idle?: () => number;
  readonly close?: () => Promise<void>;
}

export interface RuntimeRegistryOptions {
  readonly sandbox: Sandbox;
  readonly confinement: Confinement;
  readonly path: string;
  readonly configured: ConfiguredRuntimes;
  /** Those whose folder its children see. Default: none. */
  readonly tasks?: Tasks;
  /** How many processes wait for a call, by runtime. */
  readonly warm?: Readonly<Record<string, number>>;
  /** How many processes are kept for further calls of their caller; undefined for none. */
  readonly reuse?: number | undefined;
  /** Of the member, which starts spare processes in turns. */
  readonly turns: StartQueue;
  readonly log?: (message: string) => void;
}

export class RuntimeRegistry {
  /** Runs commands. */
  readonly command: Runtime;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #reuse: Reuse | undefined;

  readonly #tasks: Tasks;
  readonly #level: SandboxLevel;

  private constructor(
    entries: ReadonlyMap<string, Entry>,
    tasks: Tasks,
    { sandbox, turns }: RuntimeRegistryOptions,
    reuse?: Reuse,
  ) {
    this.#entries = entries;
    this.#tasks = tasks;
    this.#level = sandbox.level;
    this.#reuse = reuse;
    this.command = inTurn(commandRuntime, turns);
  }

  /** Finds out which runtimes there are, and begins to start the processes that wait. */
  static async open(options: RuntimeRegistryOptions): Promise<RuntimeRegistry> {
    const {
      sandbox,
      confinement,
      path,
      configured,
      turns,
      tasks = new Tasks(undefined),
      warm = {},
      log = () => {},
    } = options;
    // Where only some commands may run, no function does but the operator's own.
    if (confinement.grants.commands !== undefined && tasks.names.length === 0)
      return new RuntimeRegistry(new Map(), tasks, options);
    const reuse = options.reuse === undefined ? undefined : new Reuse(options.reuse);
    const machine: Machine = { path, folder: sandbox.folder };
    const has = (argv: readonly string[], program?: ReadOnlyBind) =>
      runs(argv, program ? [program] : [], sandbox, confinement);
    const built = Object.entries(TABLE).map(async ([name, definition]) => {
      const runner = Object.hasOwn(configured, name) ? undefined : await definition(machine);
      return runner && (await has(runner.probe, runner.program)) ? [[name, runner] as const] : [];
    });
    const own = Object.entries(configured).map(async ([name, { command }]) =>
      (await has(["/bin/sh", "-c", 'command -v "$1"', "sh", command[0] ?? ""]))
        ? [[name, command] as const]
        : [],
    );
    const [runners, commands] = [
      (await Promise.all(built)).flat(),
      (await Promise.all(own)).flat(),
    ];
    const entries = new Map<string, Entry>();
    for (const [name, runner] of runners) {
      const runtime = new FunctionRuntime({
        name,
        runner,
        readOnly: tasks.readOnly,
        sandbox,
        confinement,
        turns,
        warm: warm[name] ?? 0,
        reuse,
        log,
      });
      entries.set(name, {
        runtime,
        javascript: runner.javascript,
        idle: () => runtime.idle,
        close: () => runtime.close(),
      });
    }
    for (const [name, command] of commands)
      entries.set(name, { runtime: inTurn(configuredRuntime(command), turns), javascript: false });
    for (const name of Object.keys(warm))
      if (!entries.get(name)?.idle)
        log(
          `expected processes of runtime ${name} to wait; there is no such runtime here, or it is a configured one`,
        );
    return new RuntimeRegistry(entries, tasks, options, reuse);
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

  /** Processes that wait: for a call of anybody, by runtime, and for a further call of their caller. */
  get idle(): { readonly warm: Readonly<Record<string, number>>; readonly kept: number } {
    const warm = Object.fromEntries(
      [...this.#entries].flatMap(([name, { idle }]) => (idle ? [[name, idle()]] : [])),
    );
    return { warm, kept: this.#reuse?.idle ?? 0 };
  }

  /** Ends the processes that wait, and lets none wait any more. Calls go on. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([
      ...[...this.#entries.values()].map(({ close }) => close?.()),
      this.#reuse?.close(),
    ]);
  }

  /** @throws {PoolError} `runtime_not_found`; `invalid_request` for what the runtime cannot carry. */
  of({ runtime: name, encoding, file }: FunctionCall): Runtime {
    const entry = this.#entries.get(name);
    if (!entry)
      throw PoolError.of(
        "runtime_not_found",
        `${this.names.length > 0 ? `expected one of ${this.names.join(", ")}` : "expected no function: the pool's sandbox has no runtime"}; got ${name}`,
      );
    if (file !== undefined && !entry.idle)
      throw PoolError.of(
        "runtime_not_found",
        `tasks run in the built-in ${name}; here it is a configured one`,
      );
    if (encoding === "devalue" && !entry.javascript) {
      const message = `expected json: devalue is for JavaScript; runtime ${name} is another language's`;
      const path = `/${file === undefined ? "function" : "task"}/encoding`;
      throw PoolError.of("invalid_request", `${path}: ${message}`, { fields: [{ path, message }] });
    }
    return entry.runtime;
  }
}

/** A runtime that lets no spare process be started while it starts one. */
function inTurn(runtime: Runtime, turns: StartQueue): Runtime {
  return { start: (work, place) => turns.urgent(() => runtime.start(work, place)) };
}

/** Whether a program of a runtime ends with 0 in a pool's sandbox. @throws {PoolError} `sandbox_unavailable`. */
function runs(
  argv: readonly string[],
  readOnly: readonly ReadOnlyBind[],
  sandbox: Sandbox,
  confinement: Confinement,
): Promise<boolean> {
  const key = JSON.stringify([argv, readOnly.map(({ from }) => from), sandbox.level, confinement]);
  const asked = found.get(key) ?? tryOut(argv, readOnly, sandbox, confinement);
  found.set(key, asked);
  asked.catch(() => found.delete(key));
  return asked;
}

async function tryOut(
  argv: readonly string[],
  readOnly: readonly ReadOnlyBind[],
  sandbox: Sandbox,
  confinement: Confinement,
): Promise<boolean> {
  const process = await sandbox.launch(
    { argv, env: {}, readOnly, channel: false, stdin: false },
    confinement,
  );
  const timer = setTimeout(() => process.kill(), PROBE_TIMEOUT_MS);
  process.stdout.resume();
  process.stderr.resume();
  const { exitCode } = await process.exited;
  clearTimeout(timer);
  return exitCode === 0;
}
