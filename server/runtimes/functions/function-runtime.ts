/** Calls functions in one runtime: each in a process of its own, one that waits for it where there is one. */
import type { Confinement, ReadOnlyBind } from "../../sandbox/confinement.ts";
import type { Program, Sandbox } from "../../sandbox/sandbox.ts";
import type { Runner } from "../definition.ts";
import type { ProcessSetup, Runtime, StartedWork, Work } from "../runtime.ts";
import type { Reuse } from "./reuse.ts";
import type { StartQueue } from "./start-queue.ts";
import { WarmPool } from "./warm-pool.ts";
import { jobOf, Worker } from "./worker.ts";

/** A runner that takes longer to wait for its job is ended. */
const READY_TIMEOUT_MS = 10_000;

export interface FunctionRuntimeOptions {
  readonly name: string;
  readonly runner: Runner;
  /** What its children see beside the runner. */
  readonly readOnly: readonly ReadOnlyBind[];
  readonly sandbox: Sandbox;
  readonly confinement: Confinement;
  readonly turns: StartQueue;
  /** How many processes wait for a call. */
  readonly warm: number;
  /** Keeps processes for further calls; undefined where each is used once. */
  readonly reuse: Reuse | undefined;
  readonly log: (message: string) => void;
}

/** What of a program is the call's own. */
type Extras = Pick<Program, "env" | "stdin" | "files" | "artifacts">;

export class FunctionRuntime implements Runtime {
  readonly #options: FunctionRuntimeOptions;
  readonly #warm: WarmPool<Worker>;

  constructor(options: FunctionRuntimeOptions) {
    this.#options = options;
    const { name, warm, turns, log } = options;
    this.#warm = new WarmPool({
      size: warm,
      start: () => this.#waiting(),
      turns,
      onTrouble: (why) => log(`no warm process of runtime ${name}, will try again: ${why}`),
    });
  }

  /** How many processes wait for a call. */
  get idle(): number {
    return this.#warm.idle;
  }

  async start(work: Work, place: ProcessSetup): Promise<StartedWork> {
    const { name, reuse } = this.#options;
    const { spec } = work;
    if (!isPlain(work, place)) return this.#cold(work, place);
    if (reuse && spec.stdin === undefined)
      return reuse.call(
        `${name} ${work.client}`,
        work,
        async () => this.#warm.take() ?? this.#now({ env: {}, stdin: false }),
      );
    const worker = this.#warm.take();
    return worker
      ? worker.call(jobOf(work), work.onProgress, { usedMs: worker.process.usedMs() })
      : this.#cold(work, place);
  }

  close(): Promise<void> {
    return this.#warm.close();
  }

  async #cold(work: Work, { confinement, files, artifacts }: ProcessSetup): Promise<StartedWork> {
    const { spec } = work;
    const worker = await this.#now(
      { env: { ...spec.env }, stdin: spec.stdin !== undefined, files, artifacts },
      confinement,
    );
    return worker.call(jobOf(work), work.onProgress, { packs: artifacts.length > 0 });
  }

  /** Starts a process for a child that was admitted; meanwhile no spare one is started. */
  #now(program: Extras, confinement?: Confinement): Promise<Worker> {
    const { turns } = this.#options;
    return turns.urgent(async () => {
      const worker = await this.#launch(program, confinement);
      void turns.urgent(() => worker.channel.ready);
      return worker;
    });
  }

  /** Starts a process and waits until it waits for its job. */
  async #waiting(): Promise<Worker> {
    const worker = await this.#launch({ env: {}, stdin: true });
    const timer = setTimeout(() => worker.process.kill(), READY_TIMEOUT_MS);
    const ready = await worker.channel.ready;
    clearTimeout(timer);
    if (ready) return worker;
    worker.process.kill();
    await worker.process.exited;
    throw new Error("it ended before it could take a call");
  }

  async #launch(program: Extras, confinement = this.#options.confinement): Promise<Worker> {
    const { runner, sandbox } = this.#options;
    const readOnly = [
      ...(runner.program ? [runner.program] : []),
      runner.file,
      ...this.#options.readOnly,
    ];
    return new Worker(
      await sandbox.launch({ ...program, argv: runner.argv, readOnly, channel: true }, confinement),
    );
  }
}

/** Whether a call has nothing that has to be known when its process starts, and calls its function. */
function isPlain({ spec, call }: Work, { files, artifacts }: ProcessSetup): boolean {
  const isEmpty = (given: object | undefined) => Object.keys(given ?? {}).length === 0;
  return (
    !call?.loadOnly &&
    isEmpty(spec.env) &&
    isEmpty(spec.limits) &&
    files === undefined &&
    artifacts.length === 0
  );
}
