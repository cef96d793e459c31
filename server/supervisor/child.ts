/** One child: its process, its log, and the one ending that is reported, whatever else goes wrong after it. */
import type { Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { type ErrorCode, type FunctionError, PoolError, problem } from "../../openapi/errors.ts";
import type { Progress } from "../../openapi/events.ts";
import type { ChildInfo, ChildReference, ChildStatus, Usage } from "../../openapi/resources.ts";
import { type ChildKind, type ChildSpec, MAX_FILES } from "../../openapi/spec.ts";
import type { Data } from "../../openapi/values.ts";
import { readProgress } from "../runtimes/progress.ts";
import type {
  FunctionCall,
  MeasuredUsage,
  Outcome,
  Runtime,
  StartedWork,
} from "../runtimes/runtime.ts";
import type { Confinement } from "../sandbox/confinement.ts";
import type { Exit, Sandbox, SandboxedProcess } from "../sandbox/sandbox.ts";
import { Artifacts } from "../workspace/artifacts.ts";
import type { FetchRules } from "../workspace/fetch-rules.ts";
import { bytesOf } from "../workspace/files.ts";
import { packWorkspace } from "../workspace/pack.ts";
import type { Uploads } from "../workspace/uploads.ts";
import { OutputBatcher } from "./output/batcher.ts";
import { EventLog } from "./output/event-log.ts";
import { ProgressThrottle } from "./output/progress-throttle.ts";
import { ChildStdin } from "./stdin.ts";

/** What a child is made from. */
export interface ChildOptions {
  readonly reference: ChildReference;
  readonly spec: ChildSpec;
  readonly runtime: Runtime;
  /** The function to call; undefined for a command. */
  readonly call: FunctionCall | undefined;
  /** Who asked for it. */
  readonly client: string;
  readonly sandbox: Sandbox;
  readonly confinement: Confinement;
  /** Which URLs of files are fetched. */
  readonly fetchRules: FetchRules;
  /** What came beside the spec. */
  readonly uploads?: Uploads | undefined;
  /** Where what goes into the child, and comes out of it, is kept; private to the server. */
  readonly folder: string;
  /** Milliseconds from now until it is stopped; undefined for never. */
  readonly deadlineMs: number | undefined;
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number;
}

/** Pipes that stay open after the process has ended, and bring nothing for so long, are closed. */
const SILENCE_TIMEOUT_MS = 1_000;

/** What a pipe still holds of the artifacts is read and kept in this time; without a sandbox a stray process may hold it open. */
const ARTIFACTS_TIMEOUT_MS = 10_000;

/** Why the server ends a child. */
export type StopCause = Extract<ErrorCode, "cancelled" | "deadline_exceeded" | "payload_too_large">;

/** What the first cause of an ending was. */
type Cause = { readonly code: ErrorCode; readonly detail: string };

export class Child {
  readonly log = new EventLog();
  readonly stdin: ChildStdin;
  /** Resolves when nothing of the process is left: then the slot is free. */
  readonly gone: Promise<void>;
  /** Resolves when the terminal event is in the log. */
  readonly ended: Promise<void>;
  readonly #options: Omit<ChildOptions, "spec" | "call" | "uploads">;
  readonly #kind: ChildKind;
  readonly #labels: Record<string, string>;
  readonly #startedAt = new Date();
  readonly #startedMs = performance.now();
  readonly #deadlineAt: Date | null;
  readonly #fetching = new AbortController();
  readonly #launched = Promise.withResolvers<SandboxedProcess | undefined>();
  #status: ChildStatus = "running";
  #endedAt: Date | null = null;
  #ending: Pick<ChildInfo, "exitCode" | "code"> = { exitCode: null, code: null };
  #cause: Cause | undefined;
  #outputBytes = 0;
  #process: SandboxedProcess | undefined;
  #started: StartedWork | undefined;
  #draining = false;
  #artifacts: Artifacts | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  #killAtMs = Number.POSITIVE_INFINITY;

  constructor(options: ChildOptions) {
    // The spec may be large: only the running of it holds on to it.
    const { spec, call, uploads, ...rest } = options;
    this.#options = rest;
    this.#kind = spec.command ? "command" : spec.task ? "task" : "function";
    this.#labels = spec.labels ?? {};
    const { stdin } = spec;
    const open = isOpen(stdin) && !uploads?.stdin;
    this.stdin = new ChildStdin({
      open,
      once: open && stdin.once ? (why) => this.stop("cancelled", why) : undefined,
    });
    const { deadlineMs } = options;
    this.#deadlineAt =
      deadlineMs === undefined ? null : new Date(this.#startedAt.getTime() + deadlineMs);
    this.log.append({ type: "placed", child: options.reference });
    const deadline =
      deadlineMs === undefined
        ? undefined
        : setTimeout(
            () =>
              this.stop(
                "deadline_exceeded",
                `the child was stopped at its deadline, ${this.#deadlineAt?.toISOString()}`,
              ),
            deadlineMs,
          );
    let gone: () => void = () => {};
    this.gone = new Promise((resolve) => {
      gone = resolve;
    });
    this.ended = this.#run(options, () => {
      clearTimeout(deadline);
      clearTimeout(this.#killTimer);
      this.#launched.resolve(undefined);
      this.stdin.close();
      gone();
    });
  }

  get id(): string {
    return this.#options.reference.id;
  }

  get reference(): ChildReference {
    return this.#options.reference;
  }

  get info(): ChildInfo {
    const { reference, sandbox } = this.#options;
    return {
      ...reference,
      status: this.#status,
      kind: this.#kind,
      startedAt: this.#startedAt.toISOString(),
      deadlineAt: this.#deadlineAt?.toISOString() ?? null,
      endedAt: this.#endedAt?.toISOString() ?? null,
      ...this.#ending,
      labels: this.#labels,
      sandbox: sandbox.level,
    };
  }

  /** The files that the child left, once it has ended; undefined when none were asked for. */
  get artifacts(): Artifacts | undefined {
    return this.#artifacts;
  }

  /**
   * Ends the child: TERM to the program, KILL to everything after the grace. Only the first cause counts, and the shortest grace; a
   * child that has ended stays as it is.
   *
   * @param graceMs milliseconds between TERM and KILL; 0 kills at once. Default: the pool's.
   */
  stop(code: StopCause, detail: string, graceMs = this.#options.graceMs): void {
    if (this.#status === "ended") return;
    if (this.#status === "running") {
      this.#cause = { code, detail };
      this.#status = "stopping";
      this.#fetching.abort();
      if (graceMs > 0) void this.#process?.signal("SIGTERM");
    }
    const killAtMs = performance.now() + graceMs;
    if (killAtMs >= this.#killAtMs) return;
    this.#killAtMs = killAtMs;
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.#process?.kill(), graceMs);
  }

  /** Sends a signal to the program, once it has been started. A child that has ended stays as it is. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    const process = await this.#launched.promise;
    if (this.#status !== "ended") await process?.signal(signal);
  }

  /** Tells a function that the member drains: its signal aborts, and it goes on. */
  notifyDrain(): void {
    this.#draining = true;
    this.#started?.drain?.();
  }

  /** Lets go of what is kept of the child beside its log. */
  close(): void {
    void this.#artifacts?.close();
  }

  async #run({ spec, call, uploads }: ChildOptions, gone: () => void): Promise<void> {
    const { runtime, client, sandbox, reference, confinement, folder, fetchRules } = this.#options;
    const context = {
      member: reference.member,
      pool: reference.pool,
      childId: reference.id,
      deadline: this.#deadlineAt?.getTime() ?? null,
    };
    let outcome: Outcome & { readonly usage?: MeasuredUsage };
    let outputs: Promise<unknown> = Promise.resolve();
    const progress = new ProgressThrottle({
      take: (latest) => this.log.append({ type: "progress", ...latest }),
      hasRoom: () => this.log.writable,
    });
    const onProgress = (latest: Progress) => progress.push(latest);
    let told: Promise<void> = Promise.resolve();
    let received: Promise<Artifacts> | undefined;
    let cause: Cause | undefined;
    let counted: MeasuredUsage | undefined;
    const over = new AbortController();
    const release = uploads?.hold();
    let files: Readable | undefined;
    try {
      const patterns = spec.artifacts ?? [];
      files = await packWorkspace(spec.files ?? {}, {
        uploaded: uploads?.files ?? [],
        rules: fetchRules,
        maxBytes: confinement.limits.workspaceBytes,
        folder,
        signal: this.#fetching.signal,
      });
      const started = await runtime.start(
        { spec, call, context, client, onProgress },
        { sandbox, confinement, files, artifacts: patterns },
      );
      const { process } = started;
      this.#process = process;
      this.#launched.resolve(process);
      this.#started = started;
      if (this.#draining) started.drain?.();
      // A stop may have come while it started.
      if (this.#cause) process.kill();
      const { stdin } = spec;
      const taken: Promise<unknown>[] = [];
      if (process.stdin && uploads?.stdin)
        taken.push(pipeline(uploads.stdin.read(), process.stdin));
      else if (process.stdin && isOpen(stdin)) this.stdin.attach(process.stdin);
      else process.stdin?.end(stdin === undefined ? undefined : bytesOf(stdin as Data));
      if (files) taken.push(finished(files));
      // However that ends, the child has what it took.
      void Promise.allSettled(taken).then(release);
      outputs = Promise.all([
        this.#pump(process.stdout, "stdout", spec),
        this.#pump(process.stderr, "stderr", spec),
      ]);
      if (process.progress) told = readProgress(process.progress, process.exited, onProgress);
      if (process.artifacts) {
        received = Artifacts.receive(process.artifacts, {
          patterns,
          maxBytes: confinement.limits.artifactBytes,
          maxFiles: MAX_FILES,
          folder,
          signal: over.signal,
        });
      }
      outcome = await started.outcome;
      // What had not been asked for by now came after the work's own ending.
      cause = this.#cause;
      const exit = await process.exited;
      counted = exit.usage;
      cause ??= exceededCause(exit, outcome, confinement);
    } catch (error) {
      // What was started and cannot be followed would run on, in nobody's slot.
      this.#process?.kill();
      await this.#process?.exited;
      const detail = error instanceof PoolError ? error.message : String(error);
      // Before the process was there, nothing else than the fetching could be stopped.
      if (!this.#process)
        cause =
          this.#cause ?? (error instanceof PoolError ? { code: error.code, detail } : undefined);
      outcome = { kind: "unavailable", detail };
    }
    const cpuMs = counted?.cpuMs ?? outcome.usage?.cpuMs ?? null;
    files?.destroy();
    const usage = {
      wallMs: toMicroseconds(performance.now() - this.#startedMs),
      cpuMs: cpuMs === null ? null : toMicroseconds(cpuMs),
      maxRssBytes: counted?.maxRssBytes ?? outcome.usage?.maxRssBytes ?? null,
    };
    this.#status = "ended";
    this.#endedAt = new Date();
    gone();
    release?.();
    await Promise.all([this.#drainOutputs(outputs), told]);
    progress.end();
    if (received) {
      const timer = setTimeout(() => over.abort(), ARTIFACTS_TIMEOUT_MS);
      this.#artifacts = await received;
      clearTimeout(timer);
    }
    this.#process = undefined;
    this.#started = undefined;
    const terminal = terminalEvent(outcome, cause, usage, this.#artifacts);
    this.#ending = {
      exitCode: ("exitCode" in terminal ? terminal.exitCode : undefined) ?? null,
      code: "problem" in terminal ? terminal.problem.code : null,
    };
    this.log.append(terminal);
  }

  /** Waits for what the pipes still hold. Without a sandbox a stray process may keep them open: silence then ends the wait. */
  async #drainOutputs(outputs: Promise<unknown>): Promise<void> {
    let drained = false;
    const done = outputs.then(() => {
      drained = true;
    });
    while (!drained) {
      const before = this.#outputBytes;
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        done,
        new Promise((resolve) => {
          timer = setTimeout(resolve, SILENCE_TIMEOUT_MS);
        }),
      ]);
      clearTimeout(timer);
      if (drained || !this.log.writable || before !== this.#outputBytes) continue;
      this.#process?.stdout.destroy();
      this.#process?.stderr.destroy();
    }
  }

  /** Carries one output stream into the log, no faster than the log takes it. */
  async #pump(
    stream: Readable,
    type: "stdout" | "stderr",
    { outputEncoding }: ChildSpec,
  ): Promise<void> {
    const gather = new OutputBatcher({
      text: outputEncoding === "text",
      take: (bytes) => this.log.write(type, bytes, outputEncoding),
    });
    const { outputBytes: limit } = this.#options.confinement.limits;
    try {
      for await (const all of stream as AsyncIterable<Buffer>) {
        const chunk = all.subarray(0, Math.max(0, limit - this.#outputBytes));
        this.#outputBytes += all.length;
        if (this.#outputBytes > limit)
          this.stop("payload_too_large", `the child wrote more than ${limit} bytes of output`, 0);
        if (chunk.length > 0) gather.push(chunk);
        if (!this.log.writable) await this.log.untilWritable();
      }
    } catch {
      // The pipe broke: what came through is in the log.
    }
    gather.end();
  }
}

/** Milliseconds, without the noise of smaller parts. */
function toMicroseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** Whether the input takes what is sent to the child while it runs. */
function isOpen(stdin: ChildSpec["stdin"]): stdin is Extract<ChildSpec["stdin"], { open: true }> {
  return typeof stdin === "object" && "open" in stdin;
}

/** The limit for which the sandbox ended the child; what a function had told by then came first. */
function exceededCause(
  { exceeded }: Exit,
  { kind }: Outcome,
  { limits }: Confinement,
): Cause | undefined {
  if (exceeded === undefined || kind === "returned" || kind === "threw" || kind === "invalid")
    return undefined;
  if (exceeded === "memory")
    return {
      code: "out_of_memory",
      detail: `the child took more than its ${limits.memoryBytes} bytes of memory`,
    };
  return {
    code: "deadline_exceeded",
    detail: `the child used up its ${limits.cpuMs} ms of processor time`,
  };
}

/** The terminal event: what the server did to the child, else what the work did itself. */
function terminalEvent(
  outcome: Outcome,
  cause: Cause | undefined,
  usage: Usage,
  artifacts: Artifacts | undefined,
) {
  const base = { usage, artifacts: artifacts?.list() ?? [] };
  const failed = (
    code: ErrorCode,
    detail: string,
    more: { exitCode?: number; error?: FunctionError } = {},
  ) => {
    const { error, ...rest } = more;
    return {
      type: "failed" as const,
      problem: problem(code, detail, error ? { error } : {}),
      ...rest,
      ...base,
    };
  };
  if (cause) return failed(cause.code, cause.detail);
  if (
    artifacts?.problem !== undefined &&
    (outcome.kind === "returned" || outcome.kind === "exited")
  ) {
    return failed(
      "payload_too_large",
      `artifacts: ${artifacts.problem}`,
      outcome.kind === "exited" ? { exitCode: outcome.exit.exitCode } : {},
    );
  }
  switch (outcome.kind) {
    case "returned":
      return {
        type: "result" as const,
        value: outcome.value,
        ...(outcome.encoding && { encoding: outcome.encoding }),
        ...base,
      };
    case "exited":
      return { type: "result" as const, exitCode: outcome.exit.exitCode, ...base };
    case "threw":
      return failed("function_threw", outcome.detail, { error: outcome.error });
    case "invalid":
      return failed("invalid_request", outcome.detail);
    case "unavailable":
      return failed("sandbox_unavailable", outcome.detail);
    case "crashed":
      return failed(
        "worker_crashed",
        outcome.detail,
        outcome.exitCode === undefined ? {} : { exitCode: outcome.exitCode },
      );
  }
}
