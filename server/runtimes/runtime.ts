/** The seam between a child spec and a process: a runtime says what to start, and tells how the work ended. */
import type { FunctionError } from "../../openapi/errors.ts";
import type { ChildSpec, Usage } from "../../openapi/schemas.ts";
import type { Exit, Program, SandboxedProcess } from "../sandbox/sandbox.ts";

/** What a child is told about itself. */
export interface ChildContext {
  readonly member: string;
  readonly pool: string;
  readonly childId: string;
  /** Milliseconds since the epoch; null if never. */
  readonly deadline: number | null;
}

/** How the work ended, as the work itself saw it. */
export type Outcome =
  | { readonly kind: "exited"; readonly exit: Exit }
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly error: FunctionError; readonly detail: string }
  | { readonly kind: "invalid"; readonly detail: string }
  | { readonly kind: "unavailable"; readonly detail: string }
  | { readonly kind: "crashed"; readonly detail: string; readonly exitCode?: number };

/** The outcome of a process whose sandbox failed before the program was started. */
export const NOT_STARTED: Outcome = { kind: "unavailable", detail: "the sandbox failed before the program was started; its message is in stderr" };

/** Measured inside the child, where the runtime can. */
export type MeasuredUsage = Pick<Usage, "cpuMs" | "maxRssBytes">;

export interface Work {
  /** Resolves once the work has told its outcome or has ended without one. Never rejects. */
  readonly outcome: Promise<Outcome & { readonly usage?: MeasuredUsage }>;
}

export interface Runtime {
  program(spec: ChildSpec, context: ChildContext): Program;
  /** Follows a started process. */
  follow(process: SandboxedProcess, spec: ChildSpec, context: ChildContext): Work;
}

/** The variables by which a command finds what a function finds in its context. */
export function contextEnvironment(context: ChildContext): Record<string, string> {
  return { POOL_MEMBER: context.member, POOL_NAME: context.pool, POOL_CHILD_ID: context.childId };
}
