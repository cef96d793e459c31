/** One child: its process, its log, and the one ending that is reported, whatever else goes wrong after it. */
import type { Readable } from "node:stream";
import { type ErrorCode, type FunctionError, problem } from "../../openapi/errors.ts";
import type { ChildInfo, ChildKind, ChildReference, ChildSpec, ChildStatus, SandboxLevel } from "../../openapi/schemas.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";
import type { MeasuredUsage, Outcome, Runtime } from "../runtimes/runtime.ts";
import type { Sandbox, SandboxedProcess } from "../sandbox/sandbox.ts";
import type { Artifacts } from "./artifacts.ts";
import { EventLog } from "./output.ts";

/** What a child is made from. */
export interface ChildOptions {
  readonly reference: ChildReference;
  readonly spec: ChildSpec;
  readonly runtime: Runtime;
  readonly sandbox: Sandbox;
  /** Milliseconds from now until it is stopped; undefined for never. */
  readonly deadlineMs: number | undefined;
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number;
}

/** Pipes that stay open after the process has ended, and bring nothing for so long, are closed. */
const SILENCE_TIMEOUT_MS = 1_000;

/** Why the server ends a child. */
export type StopCause = Extract<ErrorCode, "cancelled" | "deadline_exceeded">;

/** What the first cause of an ending was. */
type Cause = { readonly code: StopCause; readonly detail: string };

export class Child {
  readonly log = new EventLog();
  /** Resolves when nothing of the process is left: then the slot is free. */
  readonly gone: Promise<void>;
  /** Resolves when the terminal event is in the log. */
  readonly ended: Promise<void>;
  /** The files that it left. */
  artifacts?: Artifacts;
  readonly #options: Omit<ChildOptions, "spec">;
  readonly #kind: ChildKind;
  readonly #labels: Record<string, string>;
  readonly #startedAt = new Date();
  readonly #startedMs = performance.now();
  readonly #deadlineAt: Date | null;
  #status: ChildStatus = "running";
  #cause: Cause | undefined;
  #outputBytes = 0;
  #process: SandboxedProcess | undefined;
  #killTimer: NodeJS.Timeout | undefined;

  constructor(options: ChildOptions) {
    // The spec may be large: only the running of it holds on to it.
    const { spec, ...rest } = options;
    this.#options = rest;
    this.#kind = spec.command ? "command" : "function";
    this.#labels = spec.labels ?? {};
    const { deadlineMs } = options;
    this.#deadlineAt = deadlineMs === undefined ? null : new Date(this.#startedAt.getTime() + deadlineMs);
    this.log.append({ type: "placed", child: options.reference });
    const deadline =
      deadlineMs === undefined
        ? undefined
        : setTimeout(() => this.stop("deadline_exceeded", `the child was stopped at its deadline, ${this.#deadlineAt?.toISOString()}`), deadlineMs);
    let gone: () => void = () => {};
    this.gone = new Promise((resolve) => {
      gone = resolve;
    });
    this.ended = this.#run(spec, () => {
      clearTimeout(deadline);
      clearTimeout(this.#killTimer);
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
      labels: this.#labels,
      sandbox: sandbox.level satisfies SandboxLevel,
    };
  }

  /** Ends the child: TERM to the program, KILL to everything after the grace. Only the first cause counts; a child that has ended stays as it is. */
  stop(code: StopCause, detail: string): void {
    if (this.#status !== "running") return;
    this.#cause = { code, detail };
    this.#status = "stopping";
    void this.#process?.signal("SIGTERM");
    this.#killTimer = setTimeout(() => this.#process?.kill(), this.#options.graceMs);
  }

  async #run(spec: ChildSpec, gone: () => void): Promise<void> {
    const { runtime, sandbox, reference } = this.#options;
    const context = { member: reference.member, pool: reference.pool, childId: reference.id, deadline: this.#deadlineAt?.getTime() ?? null };
    let outcome: Outcome & { readonly usage?: MeasuredUsage };
    let outputs: Promise<unknown> = Promise.resolve();
    let cause: Cause | undefined;
    try {
      const process = await sandbox.launch(runtime.program(spec, context));
      this.#process = process;
      // A stop may have come while it started.
      if (this.#cause) process.kill();
      process.stdin?.end(stdinBytes(spec));
      outputs = Promise.all([this.#pump(process.stdout, "stdout", spec), this.#pump(process.stderr, "stderr", spec)]);
      outcome = await runtime.follow(process, spec, context).outcome;
      // What had not been asked for by now came after the work's own ending.
      cause = this.#cause;
      await process.exited;
    } catch (error) {
      outcome = { kind: "unavailable", detail: error instanceof PoolError ? error.message : String(error) };
    }
    const usage = { wallMs: Math.round((performance.now() - this.#startedMs) * 1_000) / 1_000, cpuMs: null, maxRssBytes: null, ...outcome.usage };
    this.#status = "ended";
    gone();
    await this.#drainOutputs(outputs);
    this.#process = undefined;
    this.log.append(terminalEvent(outcome, cause, usage));
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
  async #pump(stream: Readable, type: "stdout" | "stderr", { outputEncoding }: ChildSpec): Promise<void> {
    const text = outputEncoding === "base64" ? undefined : new TextDecoder("utf-8", { ignoreBOM: true });
    const append = (body: { text: string } | { base64: string }, bytes: number) => this.log.append({ type, ...body }, bytes);
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        this.#outputBytes += chunk.length;
        if (!text) append({ base64: chunk.toString("base64") }, chunk.length);
        else append({ text: text.decode(chunk, { stream: true }) }, chunk.length);
        if (!this.log.writable) await this.log.untilWritable();
      }
    } catch {
      // The pipe broke: what came through is in the log.
    }
    const rest = text?.decode();
    if (rest) append({ text: rest }, 0);
  }
}

function stdinBytes({ stdin }: ChildSpec): Buffer {
  if (stdin === undefined) return Buffer.alloc(0);
  if (typeof stdin === "string") return Buffer.from(stdin);
  return "text" in stdin ? Buffer.from(stdin.text) : Buffer.from(stdin.base64, "base64");
}

/** The terminal event: what the server did to the child, else what the work did itself. */
function terminalEvent(outcome: Outcome, cause: Cause | undefined, usage: { wallMs: number; cpuMs: number | null; maxRssBytes: number | null }) {
  const base = { usage, artifacts: [] };
  const failed = (code: ErrorCode, detail: string, more: { exitCode?: number; error?: FunctionError } = {}) => {
    const { error, ...rest } = more;
    return { type: "failed" as const, problem: problem(code, detail, error ? { error } : {}), ...rest, ...base };
  };
  if (cause) return failed(cause.code, cause.detail);
  switch (outcome.kind) {
    case "returned":
      return { type: "result" as const, value: outcome.value, ...base };
    case "exited":
      return { type: "result" as const, exitCode: outcome.exit.exitCode, ...base };
    case "threw":
      return failed("function_threw", outcome.detail, { error: outcome.error });
    case "invalid":
      return failed("invalid_request", outcome.detail);
    case "unavailable":
      return failed("sandbox_unavailable", outcome.detail);
    case "crashed":
      return failed("worker_crashed", outcome.detail, outcome.exitCode === undefined ? {} : { exitCode: outcome.exitCode });
  }
}
