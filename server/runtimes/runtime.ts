/** The seam between a child spec and a process: a runtime starts the work, and tells how it ended. */
import type { Readable } from "node:stream";
import type { FunctionError } from "../../openapi/errors.ts";
import type { Progress } from "../../openapi/events.ts";
import type { Usage } from "../../openapi/resources.ts";
import type { ChildSpec } from "../../openapi/spec.ts";
import type { Confinement } from "../sandbox/confinement.ts";
import type { Exit, Sandbox, SandboxedProcess } from "../sandbox/sandbox.ts";

/** What a child is told about itself. */
export interface ChildContext {
  readonly member: string;
  readonly pool: string;
  readonly childId: string;
  /** Milliseconds since the epoch; null if never. */
  readonly deadline: number | null;
}

/** The work of one child. */
export interface Work {
  readonly spec: ChildSpec;
  /** The function to call, of the spec or of a task; undefined for a command. */
  readonly call: FunctionCall | undefined;
  readonly context: ChildContext;
  /** Who asked for it: processes are kept for the same one only. */
  readonly client: string;
  /** Is told how far a function has come, as often as it says so. A command says it by its process's own pipe. */
  readonly onProgress: (progress: Progress) => void;
}

/** A function and its arguments: `source`, or a `file` inside the sandbox. */
export interface FunctionCall {
  readonly runtime: string;
  readonly source?: string | undefined;
  readonly file?: string | undefined;
  readonly export?: string | undefined;
  readonly args: readonly unknown[];
  readonly encoding: "json" | "devalue";
  /** Load the function, and do not call it. */
  readonly loadOnly?: boolean | undefined;
}

/** Where the work runs, and what goes in and comes out beside it. */
export interface ProcessSetup {
  readonly sandbox: Sandbox;
  readonly confinement: Confinement;
  /** Files for the workspace, as a tar stream. */
  readonly files: Readable | undefined;
  /** Patterns of the files that are kept. */
  readonly artifacts: readonly string[];
}

/** How the work ended, as the work itself saw it. */
export type Outcome =
  | { readonly kind: "exited"; readonly exit: Exit }
  | { readonly kind: "returned"; readonly value: unknown; readonly encoding?: "devalue" }
  | { readonly kind: "threw"; readonly error: FunctionError; readonly detail: string }
  | { readonly kind: "invalid"; readonly detail: string }
  | { readonly kind: "unavailable"; readonly detail: string }
  | { readonly kind: "crashed"; readonly detail: string; readonly exitCode?: number };

/** The outcome of a process whose sandbox failed before the program was started. */
export const NOT_STARTED: Outcome = {
  kind: "unavailable",
  detail: "the sandbox failed before the program was started; its message is in stderr",
};

/** Measured inside the child, where the runtime can. */
export type MeasuredUsage = Pick<Usage, "cpuMs" | "maxRssBytes">;

/** Work under way. */
export interface StartedWork {
  readonly process: SandboxedProcess;
  /** Resolves once the work has told its outcome or has ended without one. Never rejects. */
  readonly outcome: Promise<Outcome & { readonly usage?: MeasuredUsage }>;
  /** Tells the work that the member drains; it goes on. */
  drain?(): void;
}

export interface Runtime {
  /** Starts the work, in a process of its own or in one that waits. @throws {PoolError} `sandbox_unavailable`. */
  start(work: Work, place: ProcessSetup): Promise<StartedWork>;
}

/** The variables by which a command finds what a function finds in its context. */
export function contextEnvironment(context: ChildContext): Record<string, string> {
  return { POOL_MEMBER: context.member, POOL_NAME: context.pool, POOL_CHILD_ID: context.childId };
}
