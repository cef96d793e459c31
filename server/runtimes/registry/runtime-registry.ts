/**
 * The runtimes of one pool: those whose programs work in its sandbox. A new built-in runtime needs
 * a file in the folder above, and its entry in `DEFINITIONS`.
 */
import { PoolError } from "../../../openapi/errors.ts";
import type { SandboxLevel } from "../../../openapi/limits.ts";
import type { ChildSpec } from "../../../openapi/schemas/spec.ts";
import type { Confinement } from "../../sandbox/confinement.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { inTerminal } from "../../sandbox/terminal.ts";
import { bun } from "../bun.ts";
import { CommandRuntime } from "../command.ts";
import type { ConfiguredRuntimes } from "../configured.ts";
import type { Definition } from "../definition.ts";
import { configuredRuntime } from "../functions/configured-runtime.ts";
import { FunctionRuntime } from "../functions/function-runtime.ts";
import { type ReuseOptions, ReusePool } from "../functions/reuse.ts";
import type { StartQueue } from "../functions/start-queue.ts";
import { node } from "../node.ts";
import { PreparedSandboxes } from "../prepared-sandboxes.ts";
import { python } from "../python.ts";
import type { FunctionCall, Runtime } from "../runtime.ts";
import { Tasks } from "../tasks.ts";
import { works } from "./probe-program.ts";

const DEFINITIONS: Readonly<Record<string, Definition>> = { node, python, bun };

/** The key of `warm` for commands. */
const COMMAND = "command";

/** The key of `taken` for processes that wait for a further call of their caller. */
const REUSE = "reuse";

const PROBE = { rows: 1, columns: 1 };

export interface RuntimeRegistryOptions {
  readonly sandbox: Sandbox;
  readonly confinement: Confinement;
  /** The folders of programs, separated by colons. */
  readonly path: string;
  readonly configured: ConfiguredRuntimes;
  /** The tasks, whose folder children see. Default: none. */
  readonly tasks?: Tasks;
  /** The numbers of processes that wait for a call, by runtime or `command`. Default: none. */
  readonly warm?: Readonly<Record<string, number>>;
  /** The processes that wait for further calls of their caller. Default: none. */
  readonly reuse?: ReuseOptions | undefined;
  /** The member's queue of starts. */
  readonly startQueue: StartQueue;
  readonly log?: (message: string) => void;
}

export class RuntimeRegistry {
  /** The runtime of commands. */
  readonly command: Runtime;
  readonly #builtIn = new Map<string, FunctionRuntime>();
  readonly #configured = new Map<string, Runtime>();
  readonly #reuse: ReusePool | undefined;
  readonly #prepared: PreparedSandboxes;
  readonly #tasks: Tasks;
  readonly #level: SandboxLevel;

  /** Whether commands can have terminals. */
  readonly hasTerminals: boolean;

  private constructor(options: RuntimeRegistryOptions, hasTerminals: boolean) {
    const { sandbox, startQueue, tasks, reuse, warm, log = () => {} } = options;
    this.hasTerminals = hasTerminals;
    this.#tasks = tasks ?? new Tasks(undefined);
    this.#level = sandbox.level;
    this.#reuse = reuse === undefined ? undefined : new ReusePool(reuse);
    this.#prepared = new PreparedSandboxes({ ...options, size: warm?.[COMMAND] ?? 0, log });
    this.command = new CommandRuntime(this.#prepared, startQueue);
  }

  /** Finds the pool's runtimes, and begins to start the processes that wait. */
  static async open(options: RuntimeRegistryOptions): Promise<RuntimeRegistry> {
    // Without a sandbox, a process in a terminal would leave the group by which it is killed.
    const hasTerminals =
      options.sandbox.level !== "none" && (await works(options, inTerminal(["/bin/sh"], PROBE)));
    const registry = new RuntimeRegistry(options, hasTerminals);
    // A pool that allows only some commands allows no functions but the operator's own.
    const hasFunctions =
      options.confinement.grants.commands === undefined || registry.tasks.length > 0;
    if (hasFunctions) await registry.#find(options);
    return registry;
  }

  async #find(options: RuntimeRegistryOptions): Promise<void> {
    const { startQueue, warm = {}, log = () => {} } = options;
    const [runners, commands] = await Promise.all([
      workingRunners(options),
      workingCommands(options),
    ]);
    const { readOnly } = this.#tasks;
    for (const [name, runner] of runners)
      this.#builtIn.set(
        name,
        new FunctionRuntime({
          ...options,
          name,
          runner,
          readOnly,
          warm: warm[name] ?? 0,
          reuse: this.#reuse,
          log,
        }),
      );
    for (const [name, command] of commands)
      this.#configured.set(name, urgent(configuredRuntime(command), startQueue));
    for (const name of Object.keys(warm))
      if (!this.#builtIn.has(name) && name !== COMMAND)
        log(
          `expected processes of runtime ${name} to wait; ` +
            "there is no such runtime here, or it is a configured one",
        );
  }

  /** The names of the runtimes. */
  get names(): string[] {
    return [...this.#builtIn.keys(), ...this.#configured.keys()];
  }

  /** The names of the tasks. */
  get tasks(): string[] {
    return this.#tasks.names;
  }

  /** The function of a spec; undefined for a command. @throws {PoolError} `task_not_found`. */
  callOf({ function: fn, task }: Pick<ChildSpec, "function" | "task">): FunctionCall | undefined {
    return task ? this.#tasks.callOf(task, this.#level) : fn;
  }

  /** The numbers of waiting processes: by runtime for any caller, and for the same caller. */
  get idle(): { readonly warm: Readonly<Record<string, number>>; readonly reusable: number } {
    const warm = Object.fromEntries([...this.#builtIn].map(([name, { idle }]) => [name, idle]));
    return { warm: { ...warm, [COMMAND]: this.#prepared.idle }, reusable: this.#reuse?.idle ?? 0 };
  }

  /** The numbers of calls that waiting processes have taken so far, by runtime. */
  get taken(): Readonly<Record<string, number>> {
    const warm = Object.fromEntries([...this.#builtIn].map(([name, { taken }]) => [name, taken]));
    return { ...warm, [COMMAND]: this.#prepared.taken, [REUSE]: this.#reuse?.taken ?? 0 };
  }

  /** Kills the waiting processes, and starts no more of them. Calls run on. Idempotent. */
  async close(): Promise<void> {
    const pools = [...this.#builtIn.values(), this.#reuse, this.#prepared];
    await Promise.all(pools.map((pool) => pool?.close()));
  }

  /**
   * The runtime for a call.
   *
   * @throws {PoolError} `runtime_not_found`; `invalid_request` for an encoding that the runtime
   *   cannot carry.
   */
  of({ runtime: name, encoding, file }: FunctionCall): Runtime {
    const builtIn = this.#builtIn.get(name);
    const runtime = builtIn ?? this.#configured.get(name);
    if (!runtime) {
      const expected =
        this.names.length > 0
          ? `expected one of ${this.names.join(", ")}`
          : "expected no function: the pool's sandbox has no runtime";
      throw PoolError.of("runtime_not_found", `${expected}; got ${name}`);
    }
    if (file !== undefined && !builtIn)
      throw PoolError.of(
        "runtime_not_found",
        `tasks run in the built-in ${name}; here it is a configured one`,
      );
    if (encoding === "devalue" && !builtIn?.javascript) {
      const other = `runtime ${name} is another language's`;
      const message = `expected json: devalue is for JavaScript; ${other}`;
      const path = `/${file === undefined ? "function" : "task"}/encoding`;
      throw PoolError.of("invalid_request", `${path}: ${message}`, { fields: [{ path, message }] });
    }
    return runtime;
  }
}

/** The built-in runtimes whose programs work in the sandbox. */
async function workingRunners(options: RuntimeRegistryOptions) {
  const { path, configured, sandbox } = options;
  const runners = Object.entries(DEFINITIONS).map(async ([name, definition]) => {
    // A configured runtime replaces the built-in one of its name.
    if (Object.hasOwn(configured, name)) return [];
    const runner = await definition({ path, folder: sandbox.folder });
    const isThere = runner && (await works(options, runner.probe, runner.program));
    return isThere ? [[name, runner] as const] : [];
  });
  return (await Promise.all(runners)).flat();
}

/** The configured runtimes whose programs the sandbox finds. */
async function workingCommands(options: RuntimeRegistryOptions) {
  const commands = Object.entries(options.configured).map(async ([name, { command }]) => {
    const argv = ["/bin/sh", "-c", 'command -v "$1"', "sh", command[0] ?? ""];
    return (await works(options, argv)) ? [[name, command] as const] : [];
  });
  return (await Promise.all(commands)).flat();
}

/** A runtime during whose starts the queue starts no spare process. */
function urgent(runtime: Runtime, startQueue: StartQueue): Runtime {
  return { start: (work, setup) => startQueue.urgent(() => runtime.start(work, setup)) };
}
