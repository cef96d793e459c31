/**
 * Sandboxes made beforehand. Each is whole but for its program: a shell inside waits for one call,
 * reads it as a script of a few lines, and replaces itself by the call's program.
 */
import { availableParallelism } from "node:os";
import { within } from "../../sdk/typescript/time/within.ts";
import { egressOf, variablesOf } from "./bubblewrap-arguments.ts";
import type { ChildLimits, Confinement } from "./confinement.ts";
import { quoted, withOddNames } from "./odd-names.ts";
import type { Program, Sandbox, SandboxedProcess } from "./sandbox.ts";

/** A sandbox that takes longer until it waits is killed. */
const READY_TIMEOUT_MS = 10_000;
/** At most 48 KiB in UTF-8, which go to the shell at once: a pipe holds 64 KiB. */
const MAX_SCRIPT_CHARACTERS = 16_384;

/** Limits that are a part of the mounts, which nobody can change later. */
const FIXED_LIMITS = ["memoryBytes", "workspaceBytes", "shmBytes"] as const;

/** Variables to which some shell gives a meaning or a value of its own. */
const SHELLS_OWN = new RegExp(
  "^(?:BASH.*|DIRSTACK|EUID|FUNCNAME|GROUPS|IFS|OLDPWD|OPTIND|PPID|PS\\d|PWD|RANDOM|SHELLOPTS|" +
    "SHLVL|UID|_)$",
);

/** The program of a sandbox that waits. */
const WAITING: Program = {
  argv: [],
  env: {},
  readOnly: [],
  channel: false,
  progress: true,
  stdin: true,
  waits: true,
};

/** A sandbox, and the confinement of its pool. */
export interface PoolSandbox {
  readonly sandbox: Sandbox;
  readonly confinement: Confinement;
}

/** A program for a prepared sandbox. */
export interface PreparedCall {
  readonly limits: ChildLimits;
  readonly stdin: boolean;
  /** The lines for the shell that waits. */
  readonly script: string;
}

/**
 * Whether a pool's sandboxes can be made beforehand. Without a sandbox there is nothing to make. A
 * list of names needs a proxy for each call.
 */
export function canPrepare(pool: PoolSandbox): boolean {
  const { sandbox, confinement } = pool;
  if (sandbox.level === "none" || egressOf(confinement.grants)) return false;
  return preparedCall(WAITING, confinement, pool) !== undefined;
}

/**
 * Makes a sandbox, and resolves when it is complete.
 *
 * @throws {Error} the reason why it cannot be made.
 */
export async function prepareSandbox(pool: PoolSandbox): Promise<PreparedSandbox> {
  const process = await pool.sandbox.launch(WAITING, pool.confinement);
  const prepared = new PreparedSandbox(process);
  if (await within(READY_TIMEOUT_MS, process.began ?? Promise.resolve(true))) return prepared;
  process.kill();
  const { trouble } = await process.exited;
  throw new Error(trouble ?? "it ended before it waited");
}

/**
 * The call that runs a program in a prepared sandbox as in one of its own. Pure.
 *
 * @param confinement the pool's, with the limits that the caller tightens.
 * @returns undefined for a program that needs a sandbox of its own.
 */
export function preparedCall(
  program: Program,
  { limits, grants }: Confinement,
  pool: PoolSandbox,
): PreparedCall | undefined {
  const { files, artifacts, terminal, readOnly, channel, progress, stdin } = program;
  const before = pool.confinement.limits;
  if (files || artifacts?.length || terminal || readOnly.length > 0) return undefined;
  if (channel || !progress) return undefined;
  if (FIXED_LIMITS.some((name) => limits[name] !== before[name])) return undefined;
  // A curated root may lack the program that sets the processors.
  if (grants.root !== undefined && Number.isInteger(limits.cpus)) return undefined;
  const host = { level: pool.sandbox.level, cpus: availableParallelism() };
  const env = Object.entries(variablesOf(program, { limits, grants }, host));
  if (env.some(([name]) => SHELLS_OWN.test(name))) return undefined;
  const own = withOddNames(program.argv, { ...program.env, ...grants.env });
  const { openFiles, cpuMs, processes } = limits;
  const script = [
    `export ${env.map(([name, value]) => `${name}=${quoted(value)}`).join(" ")}`,
    ...(stdin ? [] : ["exec </dev/null"]),
    ...(openFiles === before.openFiles ? [] : [`ulimit -n ${openFiles} || exit 126`]),
    ...(cpuMs === before.cpuMs ? [] : [`ulimit -t ${Math.ceil(cpuMs / 1_000)} || exit 126`]),
    `set -- ${[String(processes), ...own].map(quoted).join(" ")}`,
    "return",
    "",
  ].join("\n");
  return script.length > MAX_SCRIPT_CHARACTERS ? undefined : { limits, stdin, script };
}

/** A sandbox that waits for one call. */
export class PreparedSandbox {
  readonly process: SandboxedProcess;
  #isTaken = false;

  constructor(process: SandboxedProcess) {
    this.process = process;
    void process.exited.then(() => {
      if (!this.#isTaken) this.#destroyStreams();
    });
  }

  /**
   * Runs a program. To be called once.
   *
   * @throws the error of a limit that the kernel refuses, or of a sandbox that has just ended. The
   *   program is not started then.
   */
  run({ limits, stdin, script }: PreparedCall): SandboxedProcess {
    const { waiting, ...process } = this.process;
    if (!waiting) throw new Error("expected a sandbox that waits");
    try {
      const cores = waiting.begin(limits);
      const bind = cores ? `/usr/bin/taskset -p -c ${cores.join(",")} $$ >/dev/null 2>&1\n` : "";
      waiting.call.end(bind + script);
    } catch (error) {
      process.kill();
      throw error;
    }
    this.#isTaken = true;
    if (stdin) return process;
    process.stdin?.destroy();
    return { ...process, stdin: null };
  }

  /** A stream that nobody has read does not close by itself. */
  #destroyStreams(): void {
    const { stdin, stdout, stderr, progress, waiting } = this.process;
    for (const stream of [stdin, stdout, stderr, progress, waiting?.call]) stream?.destroy();
  }
}
