/** One child: its process, its log, and its one ending, whatever goes wrong after it. */
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { isErrorCode, PoolError, type Problem } from "../../openapi/errors.ts";
import type { TerminalSize } from "../../openapi/schemas/limits.ts";
import type { ChildReference } from "../../openapi/schemas/resources.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { Deadline } from "../../sdk/typescript/time/deadline.ts";
import type { Holding } from "../http/bodies/held-bytes.ts";
import type { StartedWork, WorkProcess } from "../runtimes/runtime.ts";
import type { Artifacts } from "../workspace/artifacts.ts";
import { hasFiles, packWorkspace } from "../workspace/pack.ts";
import { ChildStreams } from "./child-streams.ts";
import type { Cause, Ending, StopCause } from "./ending.ts";
import { exceededCause, terminalEvent, usageOf, usageSoFar } from "./ending.ts";
import { type ChildOptions, type ChildState, infoOf, stateAtEnd, stateAtStart } from "./options.ts";
import { EventLog, RING_BYTES } from "./output/event-log.ts";
import { startFailureIn } from "./start-failure.ts";
import { ChildStdin } from "./stdin.ts";

export class Child {
  readonly id: string;
  readonly reference: ChildReference;
  readonly log: EventLog;
  readonly stdin: ChildStdin;
  readonly #exit = Promise.withResolvers<void>();
  /** Resolves when nothing of the process is left. The slot is free then. */
  readonly exited = this.#exit.promise;
  readonly #begun = Promise.withResolvers<Problem | undefined>();
  /** Resolves when the program begins, or the child ends before; with why it cannot be started. */
  readonly begun = this.#begun.promise;
  /** Resolves when the terminal event is in the log. */
  readonly finished: Promise<void>;
  readonly #options: Omit<ChildOptions, "spec" | "call" | "uploads">;
  readonly #startedMs = performance.now();
  /** The memory that the log holds. */
  readonly #held: Holding;
  #fetching: AbortController | undefined;
  readonly #launched = Promise.withResolvers<WorkProcess | undefined>();
  #state: ChildState;
  #cause: Cause | undefined;
  #started: StartedWork | undefined;
  #draining = false;
  /** Whether the process is gone. The status says so once the artifacts are there too. */
  #isOver = false;
  #artifacts: Artifacts | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  #killDeadline = new Deadline(undefined);

  constructor(options: ChildOptions) {
    // The spec may be large: the run holds it, and a remembered child does not.
    const { spec, call, uploads, ...rest } = options;
    this.#options = rest;
    if (hasFiles(spec, uploads)) this.#fetching = new AbortController();
    const { deadlineMs, reference, client, heldBytes } = options;
    this.id = reference.id;
    this.reference = reference;
    this.#held = heldBytes.open(client);
    this.log = new EventLog(RING_BYTES, this.#held);
    this.#state = stateAtStart(options);
    this.stdin = new ChildStdin(options, (why) => this.stop("cancelled", why));
    this.log.append({ type: "placed", child: reference });
    const late = () => `the child was stopped at its deadline, ${this.info.deadlineAt}`;
    const stop = () => this.stop("deadline_exceeded", late());
    if (deadlineMs !== undefined) this.#deadlineTimer = setTimeout(stop, deadlineMs);
    this.finished = this.#run(options);
  }

  /** The caller that asked for the child. */
  get owner(): string {
    return this.#state.owner;
  }

  get info(): ChildInfo {
    return infoOf(this.reference, this.#state);
  }

  /** Measures the usage so far, which `info` shows from then on. False where nothing runs. */
  measure(): boolean {
    const usage = this.#isOver ? undefined : usageSoFar(this.#startedMs, this.#started?.process);
    if (usage) this.#state = { ...this.#state, usage };
    return usage !== undefined;
  }

  /** The files that the child left, once it has ended; undefined if the spec asked for none. */
  get artifacts(): Artifacts | undefined {
    return this.#artifacts;
  }

  /**
   * Ends the child: TERM to the program, then KILL to the whole process tree after the grace. The
   * first cause and the shortest grace count. A child that has ended stays as it is.
   *
   * @param graceMs milliseconds between TERM and KILL; 0 kills at once. Default: the pool's.
   */
  stop(code: StopCause, detail: string, graceMs = this.#options.graceMs): void {
    if (this.#isOver) return;
    if (this.#state.status === "running") {
      this.#cause = { code, detail };
      this.#state = { ...this.#state, status: "stopping" };
      this.#options.rules.observer?.stopping?.(this);
      this.#fetching?.abort();
      if (graceMs > 0) void this.#started?.process.signal("SIGTERM");
    }
    if (graceMs >= this.#killDeadline.remainingMs) return;
    this.#killDeadline = new Deadline(graceMs);
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.#started?.process.kill(), graceMs);
  }

  /** Sends a signal to the program once it has been started. An ended child stays as it is. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    const process = await this.#launched.promise;
    if (!this.#isOver) await process?.signal(signal);
  }

  /**
   * Sets the size of the child's terminal once it has been started.
   *
   * @throws {PoolError} `invalid_request` for a child without a terminal.
   */
  async resize(size: TerminalSize): Promise<void> {
    const process = await this.#launched.promise;
    if (process && !process.resize)
      throw PoolError.of("not_found", `expected a child with a tty; ${this.id} has none`);
    process?.resize?.(size);
  }

  /** Notifies a function that the member drains, by its abort signal. The function goes on. */
  notifyDrain(): void {
    this.#draining = true;
    this.#started?.drain?.();
  }

  /** Removes the artifacts. The log stays with its readers. */
  close(): void {
    this.#held.release();
    void this.#artifacts?.close();
  }

  async #run(options: ChildOptions): Promise<void> {
    const { spec, uploads, confinement, folder, rules } = options;
    const streams = new ChildStreams({
      ...{ log: this.log, spec, limits: confinement.limits, folder },
      onTooMuchOutput: (detail) => this.stop("payload_too_large", detail, 0),
      onProgress: (progress) => {
        this.#state = { ...this.#state, progress };
        rules.observer?.progressed?.(this);
      },
    });
    const release = uploads?.hold();
    const releaseMemory = uploads?.memory?.hold();
    let files: Readable | undefined;
    let ending: Ending;
    try {
      if (this.#fetching)
        files = await packWorkspace(spec, {
          uploads,
          rules: rules.fetchRules,
          maxBytes: confinement.limits.workspaceBytes,
          folder,
          signal: this.#fetching.signal,
        });
      const started = await this.#start(options, files, streams);
      // The child has its uploads once their streams have ended, well or not.
      void Promise.allSettled([
        started.process.stdin && this.stdin.attach(started.process.stdin, options),
        files && finished(files),
      ]).then(release);
      ending = await this.#follow(started);
    } catch (error) {
      ending = await this.#abandon(error);
    }
    files?.destroy();
    const endedAt = Date.now();
    this.#isOver = true;
    clearTimeout(this.#deadlineTimer);
    clearTimeout(this.#killTimer);
    this.#launched.resolve(undefined);
    this.stdin.close();
    this.#exit.resolve();
    release?.();
    releaseMemory?.();
    // A slow reader holds back the output, which must not hold back the status.
    const outputs = streams.end();
    this.#artifacts = await streams.artifacts();
    const terminal = terminalEvent(ending, this.#artifacts);
    this.#state = stateAtEnd(this.#state, endedAt, terminal);
    await outputs;
    this.#started = undefined;
    this.log.append(terminal);
    this.#begun.resolve(startFailureIn(terminal));
  }

  async #start(
    { runtime, reference, spec, call, client, rules, confinement }: ChildOptions,
    files: Readable | undefined,
    streams: ChildStreams,
  ): Promise<StartedWork> {
    const { id: childId, pool, member } = reference;
    const context = { member, pool, childId, deadline: this.#state.deadlineAt };
    const start = () =>
      runtime.start(
        { spec, call, context, client, onProgress: streams.onProgress },
        { sandbox: rules.sandbox, confinement, files, artifacts: spec.artifacts ?? [] },
      );
    const started = await (rules.fence ? rules.fence.held(start) : start());
    this.#started = started;
    const { process } = started;
    const { began = Promise.resolve(true) } = process;
    void began.then((isTrue) => isTrue && this.#begun.resolve(undefined));
    this.#launched.resolve(process);
    if (this.#draining) started.drain?.();
    // A stop may have come during the start.
    if (this.#cause) process.kill();
    streams.attach(process);
    return started;
  }

  async #follow({ process, outcome: work }: StartedWork): Promise<Ending> {
    const outcome = await work;
    // A stop that comes after the work's own outcome is not the cause of its ending.
    const cause = this.#cause;
    const exit = await process.exited;
    return {
      outcome,
      cause: cause ?? exceededCause(exit, outcome, this.#options.confinement.limits),
      usage: usageOf(this.#startedMs, exit.usage, outcome.usage),
    };
  }

  /** Ends a child that cannot be started or followed: its process would run on without a slot. */
  async #abandon(error: unknown): Promise<Ending> {
    const process = this.#started?.process;
    process?.kill();
    await process?.exited;
    const { sandbox } = this.#options.rules;
    const { problem } = error instanceof PoolError ? error : sandbox.startProblem(error);
    const { code, detail } = problem;
    // Before there is a process, a stop ends the fetching of files, which fails because of it.
    const cause =
      this.#cause ?? (isErrorCode(code) ? { code, detail, admitted: false as const } : undefined);
    return {
      outcome: { kind: "unavailable", detail, began: process !== undefined },
      cause: process ? undefined : cause,
      usage: usageOf(this.#startedMs),
    };
  }
}
