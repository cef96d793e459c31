/**
 * The operator's functions. Each module directly in one folder is a task with the module's name.
 */
import { readdirSync, statSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import type { z } from "zod";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { SandboxLevel } from "../../openapi/limits.ts";
import type { TaskWorkSchema } from "../../openapi/schemas/functions.ts";
import { TaskNameSchema } from "../../openapi/schemas/names.ts";
import { within } from "../../sdk/typescript/time/within.ts";
import type { ReadOnlyBind } from "../sandbox/confinement.ts";
import type { FunctionCall, ProcessSetup, Runtime, StartedWork } from "./runtime.ts";

/** The path of the folder inside the sandbox. */
const TASKS = "/run/distributed-pool/tasks";
/** A module that takes longer to load makes the check fail. */
const LOAD_TIMEOUT_MS = 10_000;

/**
 * By file extension: the runtime of a task, and the export that is its function (or the default).
 */
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
  /** The file names, by task. */
  readonly #files: ReadonlyMap<string, string>;

  /**
   * @param folder of the tasks; undefined for none.
   * @throws {PoolError} `invalid_request` for a folder that cannot be read, for a name that no task
   *   can have, and for two files of one task.
   */
  constructor(folder: string | undefined) {
    this.#folder = folder === undefined ? undefined : resolve(folder);
    this.#files = this.#folder === undefined ? new Map() : filesIn(this.#folder);
  }

  get names(): string[] {
    return [...this.#files.keys()];
  }

  /** The folder, as children that run functions see it. */
  get readOnly(): readonly ReadOnlyBind[] {
    return this.#folder === undefined ? [] : [{ from: this.#folder, to: TASKS }];
  }

  /** The function of a task. @throws {PoolError} `task_not_found`. */
  callOf(
    { name, args, encoding }: z.output<typeof TaskWorkSchema>,
    level: SandboxLevel,
  ): FunctionCall {
    const file = this.#files.get(name);
    if (file === undefined)
      throw PoolError.of(
        "task_not_found",
        this.names.length > 0
          ? `expected one of ${this.names.join(", ")}; got ${name}`
          : `expected no task, because the member has none (--tasks); got ${name}`,
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
   * Loads each task once in a pool's sandbox, as a call would, and calls none.
   *
   * @param runtimeOf the pool's runtime for a call.
   * @throws {PoolError} `invalid_request` that names each file that does not load, with the reason.
   */
  async check(
    pool: string,
    runtimeOf: (call: FunctionCall) => Runtime,
    setup: ProcessSetup,
  ): Promise<void> {
    const faults: string[] = [];
    for (const [name, file] of this.#files) {
      const call = {
        ...this.callOf({ name, args: [], encoding: "json" }, setup.sandbox.level),
        loadOnly: true,
      };
      const context = { member: "", pool, childId: "", deadline: null };
      const work = { spec: EMPTY_SPEC, call, context, client: "", onProgress: () => {} };
      const fault = await faultOf(async () => runtimeOf(call).start(work, setup));
      if (fault !== undefined)
        faults.push(
          `task ${name} does not load in pool ${pool}: ` +
            `${join(this.#folder as string, file)}: ${fault}`,
        );
    }
    if (faults.length > 0) throw PoolError.of("invalid_request", faults.join("\n"));
  }
}

/** The reason why a task does not load; undefined for one that loads. */
async function faultOf(start: () => Promise<StartedWork>): Promise<string | undefined> {
  try {
    const { process, outcome } = await start();
    process.stdin?.end();
    process.stdout.resume();
    process.stderr.resume();
    const loaded = await within(LOAD_TIMEOUT_MS, outcome);
    if (loaded === undefined) process.kill();
    await process.exited;
    if (loaded === undefined) return `not within ${LOAD_TIMEOUT_MS} ms`;
    return "detail" in loaded ? loaded.detail : undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** The spec of a child without a caller. */
const EMPTY_SPEC = { outputEncoding: "text", waitMs: 0, link: false } as const;

function filesIn(folder: string): Map<string, string> {
  const refuse = (detail: string) => PoolError.of("invalid_request", detail);
  const files = new Map<string, string>();
  let entries: string[];
  try {
    // Folders, such as node_modules, hold modules that the tasks import.
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
        `${join(folder, file)}: ${checked.error.issues[0]?.message}; ` +
          "what tasks import goes into a folder in it",
      );
    const other = files.get(name);
    if (other !== undefined)
      throw refuse(
        `expected one file for task ${name}; ` +
          `got ${join(folder, other)} and ${join(folder, file)}`,
      );
    files.set(name, file);
  }
  return files;
}
