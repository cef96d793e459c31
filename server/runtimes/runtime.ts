/** The interface of a runtime, which starts the work of a child spec and reports its outcome. */
import type { Readable } from "node:stream";
import type { FunctionError } from "../../openapi/errors.ts";
import type { Progress } from "../../openapi/events.ts";
import type { Usage } from "../../openapi/schemas/endings.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import type { TraceContext } from "../../sdk/typescript/trace/trace-context.ts";
import type { Confinement } from "../sandbox/confinement.ts";
import { faultOf } from "../sandbox/fault.ts";
import type { Exit, Sandbox, SandboxedProcess } from "../sandbox/sandbox.ts";

/** The facts that a child learns about itself. */
export interface ChildContext {
  readonly member: string;
  readonly pool: string;
  readonly childId: string;
  /** Milliseconds since the epoch; null for no deadline. */
  readonly deadline: number | null;
}

/** The work of one child. */
export interface Work {
  readonly spec: ChildSpec;
  /** The function to call, of the spec or of a task; undefined for a command. */
  readonly call: FunctionCall | undefined;
  readonly context: ChildContext;
  /** The caller. A process that is reused serves one caller only. */
  readonly client: string;
  /** The span that the work's own spans join. Default: none. */
  readonly trace?: TraceContext | undefined;
  /** Called for each progress of a function. A command's progress has a pipe of its own. */
  readonly onProgress: (progress: Progress) => void;
}

/** A function and its arguments. It has a source, or is in a module. */
export interface FunctionCall {
  readonly runtime: string;
  readonly source?: string | undefined;
  /** The path of the module inside the sandbox. */
  readonly file?: string | undefined;
  readonly export?: string | undefined;
  readonly args: readonly unknown[];
  /** The encoding of `args` and of the returned value. */
  readonly encoding: "json" | "devalue";
  /** Whether the runtime only loads the function, and does not call it. */
  readonly loadOnly?: boolean | undefined;
}

/** The sandbox in which the work runs, and the files that go in and come out. */
export interface ProcessSetup {
  readonly sandbox: Sandbox;
  readonly confinement: Confinement;
  /** Files for the workspace, as a tar stream. */
  readonly files: Readable | undefined;
  /** Patterns of the files that the child leaves as artifacts. */
  readonly artifacts: readonly string[];
}

/** The end of the work, as the work itself reports it. */
export type Outcome =
  | { readonly kind: "exited"; readonly exit: Exit }
  | { readonly kind: "returned"; readonly value: unknown; readonly encoding?: "devalue" }
  | { readonly kind: "threw"; readonly error: FunctionError; readonly detail: string }
  | { readonly kind: "invalid"; readonly detail: string }
  /** `began` tells whether the program may have run. */
  | { readonly kind: "unavailable"; readonly detail: string; readonly began: boolean }
  | { readonly kind: "crashed"; readonly detail: string; readonly exitCode?: number };

/** The outcome of a process whose sandbox failed before it started the program. */
export function notStarted({ trouble }: Exit): Outcome {
  return {
    kind: "unavailable",
    detail: `could not start the child: ${faultOf(trouble)}`,
    began: false,
  };
}

/** Usage that a runtime measures inside the child. */
export type MeasuredUsage = Pick<Usage, "cpuMs" | "maxRssBytes">;

/** One output of running work, read once. */
export interface Output extends AsyncIterable<Buffer> {
  /** Drops what is left of it. */
  resume(): void;
  /** Reads no more of it. */
  destroy(): void;
}

/** The process of running work. */
export interface WorkProcess extends Omit<SandboxedProcess, "stdout" | "stderr"> {
  readonly stdout: Output;
  readonly stderr: Output;
}

/** Work that is running. */
export interface StartedWork {
  readonly process: WorkProcess;
  /** Resolves when the work has reported its outcome or ended without a report. Never rejects. */
  readonly outcome: Promise<Outcome & { readonly usage?: MeasuredUsage }>;
  /** Tells the work that the member drains. The work may run on. */
  drain?(): void;
}

export interface Runtime {
  /**
   * Starts the work in a new process or in a waiting one.
   *
   * @throws {PoolError} `sandbox_unavailable`.
   */
  start(work: Work, setup: ProcessSetup): Promise<StartedWork>;
}

/**
 * The variables that give work the facts of its context, and its place in a trace. A caller's own
 * `TRACEPARENT` comes before that of the request.
 */
export function contextEnvironment({ spec, context, trace }: Work): Record<string, string> {
  const { member, pool, childId } = context;
  const facts = { POOL_MEMBER: member, POOL_NAME: pool, POOL_CHILD_ID: childId };
  if (!trace || spec.env?.TRACEPARENT !== undefined) return facts;
  const { traceparent, tracestate } = trace;
  return {
    ...facts,
    TRACEPARENT: traceparent,
    ...(tracestate !== undefined && { TRACESTATE: tracestate }),
  };
}
