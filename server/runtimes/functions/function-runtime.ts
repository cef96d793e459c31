/** Calls functions in one runtime: each in its own process, a waiting one where there is one. */

import { within } from "../../../sdk/typescript/time/within.ts";
import type { Confinement, ReadOnlyBind } from "../../sandbox/confinement.ts";
import type { Program, Sandbox } from "../../sandbox/sandbox.ts";
import type { Runner } from "../definition.ts";
import type { ProcessSetup, Runtime, StartedWork, Work } from "../runtime.ts";
import type { ReusePool } from "./reuse.ts";
import type { StartQueue } from "./start-queue.ts";
import { WarmPool } from "./warm-pool.ts";
import { createJob, Worker } from "./worker.ts";

/** A runner that takes longer until it waits for its job is killed. */
const READY_TIMEOUT_MS = 10_000;

export interface FunctionRuntimeOptions {
  readonly name: string;
  readonly runner: Runner;
  /** Host files that its children see beside the runner. */
  readonly readOnly: readonly ReadOnlyBind[];
  readonly sandbox: Sandbox;
  readonly confinement: Confinement;
  readonly startQueue: StartQueue;
  /** The number of processes that wait for a call. */
  readonly warm: number;
  /** Keeps processes for further calls; undefined where each takes one call. */
  readonly reuse: ReusePool | undefined;
  readonly log: (message: string) => void;
}

/** The part of a program that each call has for itself. */
type CallProgram = Pick<Program, "env" | "stdin" | "files" | "artifacts">;

export class FunctionRuntime implements Runtime {
  readonly #options: FunctionRuntimeOptions;
  readonly #warm: WarmPool<Worker>;

  constructor(options: FunctionRuntimeOptions) {
    this.#options = options;
    const { name, warm, startQueue, log } = options;
    this.#warm = new WarmPool({
      size: warm,
      start: () => this.#startWaiting(),
      startQueue,
      onTrouble: (reason) => log(`no warm process of runtime ${name}, will try again: ${reason}`),
    });
  }

  /** Whether devalue, which is for JavaScript alone, can encode the runtime's values. */
  get javascript(): boolean {
    return this.#options.runner.javascript;
  }

  /** The number of processes that wait for a call now. */
  get idle(): number {
    return this.#warm.idle;
  }

  /** The number of waiting processes that calls have taken so far. */
  get taken(): number {
    return this.#warm.taken;
  }

  async start(work: Work, setup: ProcessSetup): Promise<StartedWork> {
    const { name, reuse } = this.#options;
    const { spec } = work;
    if (!isPlain(work, setup)) return this.#startCold(work, setup);
    if (reuse && spec.stdin === undefined)
      return reuse.call(
        `${name} ${work.client}`,
        work,
        async () => this.#warm.take() ?? this.#launchUrgent({ env: {}, stdin: false }),
      );
    const worker = this.#warm.take();
    return worker
      ? worker.call(createJob(work), work.onProgress, { usedMs: worker.process.usedMs() })
      : this.#startCold(work, setup);
  }

  close(): Promise<void> {
    return this.#warm.close();
  }

  async #startCold(
    work: Work,
    { confinement, files, artifacts }: ProcessSetup,
  ): Promise<StartedWork> {
    const { spec } = work;
    const worker = await this.#launchUrgent(
      { env: { ...spec.env }, stdin: spec.stdin !== undefined, files, artifacts },
      confinement,
    );
    return worker.call(createJob(work), work.onProgress, { packs: artifacts.length > 0 });
  }

  /** Starts a process for an admitted child. Meanwhile the queue starts no spare process. */
  #launchUrgent(program: CallProgram, confinement?: Confinement): Promise<Worker> {
    const { startQueue } = this.#options;
    return startQueue.urgent(async () => {
      const worker = await this.#launch(program, confinement);
      void startQueue.urgent(() => worker.channel.ready);
      return worker;
    });
  }

  /** Starts a spare process. Resolves when it waits for its job. */
  async #startWaiting(): Promise<Worker> {
    const worker = await this.#launch({ env: {}, stdin: true });
    if (await within(READY_TIMEOUT_MS, worker.channel.ready)) return worker;
    worker.process.kill();
    await worker.process.exited;
    throw new Error("it ended before it could take a call");
  }

  async #launch(program: CallProgram, confinement = this.#options.confinement): Promise<Worker> {
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

/** Whether a process that was started before can take the call, and the call calls its function. */
function isPlain({ spec, call }: Work, { files, artifacts }: ProcessSetup): boolean {
  const isEmpty = (value: object = {}) => Object.keys(value).length === 0;
  return (
    !call?.loadOnly &&
    isEmpty(spec.env) &&
    isEmpty(spec.limits) &&
    files === undefined &&
    artifacts.length === 0
  );
}
