/** The operator's functions: modules directly in one folder, each the task of its name. */
import { readdirSync, statSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import type { z } from "zod";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { TaskSchema } from "../../openapi/spec/functions.ts";
import type { SandboxLevel } from "../../openapi/limits.ts";
import { TaskNameSchema } from "../../openapi/names.ts";
import type { ReadOnlyBind } from "../sandbox/confinement.ts";
import type { FunctionCall, ProcessSetup, Runtime } from "./runtime.ts";

/** Where the folder is inside the sandbox. */
const TASKS = "/run/distributed-pool/tasks";
/** A module that takes longer to load is refused. */
const LOAD_TIMEOUT_MS = 10_000;

/** By the ending of its file: which runtime a task wants, and which export is the function (the default one, unless named). */
const KINDS: Readonly<Record<string, Pick<FunctionCall, "runtime" | "export">>> = {
  ".js": { runtime: "node" },
  ".mjs": { runtime: "node" },
  ".ts": { runtime: "node" },
  ".mts": { runtime: "node" },
  ".py": { runtime: "python", export: "main" },
};
const DECLARATIONS = /\.d\.m?ts$/;

export class Tasks {
  readonly #folder: string | undefined;
  /** File names by task. */
  readonly #files: ReadonlyMap<string, string>;

  /**
   * @param folder of the tasks; undefined for none.
   * @throws {PoolError} `invalid_request` for a folder that cannot be read, a name that no task can have, and two files of one task.
   */
  constructor(folder: string | undefined) {
    this.#folder = folder === undefined ? undefined : resolve(folder);
    this.#files = this.#folder === undefined ? new Map() : filesIn(this.#folder);
  }

  get names(): string[] {
    return [...this.#files.keys()];
  }

  /** What the children that run functions see of it. */
  get readOnly(): readonly ReadOnlyBind[] {
    return this.#folder === undefined ? [] : [{ from: this.#folder, to: TASKS }];
  }

  /** The function that a task is. @throws {PoolError} `task_not_found`. */
  callOf({ name, args, encoding }: z.output<typeof TaskSchema>, level: SandboxLevel): FunctionCall {
    const file = this.#files.get(name);
    if (file === undefined)
      throw PoolError.of(
        "task_not_found",
        `expected one of ${this.names.join(", ") || "no tasks"}; got ${name}`,
      );
    const kind = KINDS[extname(file)] as (typeof KINDS)[string];
    return {
      ...kind,
      file: join(level === "none" ? (this.#folder as string) : TASKS, file),
      args,
      encoding,
    };
  }

  /**
   * Loads each task once, as a call would, and calls none.
   *
   * @param pool in whose sandbox they are loaded.
   * @throws {PoolError} `invalid_request` that names each file that does not load, and says why.
   */
  async check(
    pool: string,
    runtimeOf: (call: FunctionCall) => Runtime,
    place: ProcessSetup,
  ): Promise<void> {
    const faults: string[] = [];
    for (const [name, file] of this.#files) {
      const call = {
        ...this.callOf({ name, args: [], encoding: "json" }, place.sandbox.level),
        loadOnly: true,
      };
      const fault = await load(pool, () => runtimeOf(call), call, place).catch(messageOf);
      if (fault !== undefined)
        faults.push(
          `task ${name} does not load in pool ${pool}: ${join(this.#folder as string, file)}: ${fault}`,
        );
    }
    if (faults.length > 0) throw PoolError.of("invalid_request", faults.join("\n"));
  }
}

/** Why a task does not load; undefined when it does. */
async function load(
  pool: string,
  runtime: () => Runtime,
  call: FunctionCall,
  place: ProcessSetup,
): Promise<string | undefined> {
  const context = { member: "", pool, childId: "", deadline: null };
  const { process, outcome } = await runtime().start(
    { spec: NOTHING, call, context, client: "", onProgress: () => {} },
    place,
  );
  process.stdin?.end();
  process.stdout.resume();
  process.stderr.resume();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    process.kill();
  }, LOAD_TIMEOUT_MS);
  const ended = await outcome;
  clearTimeout(timer);
  await process.exited;
  if (late) return `not within ${LOAD_TIMEOUT_MS} ms`;
  return "detail" in ended ? ended.detail : undefined;
}

/** The spec of a child that is nobody's. */
const NOTHING = { outputEncoding: "text", waitMs: 0, link: false } as const;

function filesIn(folder: string): Map<string, string> {
  const refuse = (detail: string) => PoolError.of("invalid_request", detail);
  const files = new Map<string, string>();
  let entries: string[];
  try {
    // What is no file, such as node_modules, is there for the tasks to import.
    entries = readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile());
  } catch (error) {
    throw refuse(`expected a folder of tasks; got ${folder}: ${messageOf(error)}`);
  }
  for (const file of entries.sort()) {
    const ending = extname(file);
    if (!Object.hasOwn(KINDS, ending) || DECLARATIONS.test(file)) continue;
    const name = file.slice(0, -ending.length);
    const checked = TaskNameSchema.safeParse(name);
    if (!checked.success)
      throw refuse(
        `${join(folder, file)}: ${checked.error.issues[0]?.message}; what tasks import goes into a folder in it`,
      );
    const other = files.get(name);
    if (other !== undefined)
      throw refuse(
        `expected one file for task ${name}; got ${join(folder, other)} and ${join(folder, file)}`,
      );
    files.set(name, file);
  }
  return files;
}
