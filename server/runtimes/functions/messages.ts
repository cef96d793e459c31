/**
 * The messages between the server and a function's runner inside a child: one line of JSON each,
 * over descriptor 3. The field `kind` tells them apart.
 */
import type { FunctionError } from "../../../openapi/errors.ts";
import type { Progress } from "../../../openapi/events.ts";
import type { ChildContext, FunctionCall } from "../runtime.ts";

export type ServerMessage = Job | Drain;
export type RunnerMessage = Ready | Accepted | ProgressMessage | Report;

/** A function to call. */
export interface Job extends Omit<FunctionCall, "runtime"> {
  readonly kind: "job";
  readonly context: ChildContext;
  /**
   * Variables that the server did not know when it started the process. Those of the job before
   * that this one lacks do not stay.
   */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Text that the runner writes to stdout and stderr after the call, before it waits for the next
   * job. A runner exits after a job without a marker.
   */
  readonly marker?: string | undefined;
}

/** The member drains. The function's signal aborts, and the function may run on. */
export interface Drain {
  readonly kind: "drain";
}

/** The runner waits for its first job. */
export interface Ready {
  readonly kind: "ready";
}

/**
 * The runner has received a job with a marker, and has not looked at it yet. Before this message,
 * nothing of the job has run.
 */
export interface Accepted {
  readonly kind: "accepted";
  readonly marker: string;
}

/**
 * The function's progress, any number of times during a job. It has no marker, because the function
 * could read it: it may write such messages itself.
 */
export interface ProgressMessage {
  readonly kind: "progress";
  readonly progress: Progress;
}

/** The end of a job. */
export type Report = ReportBody & ReportRest;

/** The part of a report that each end of a job has. */
interface ReportRest {
  readonly cpuMs: number;
  readonly maxRssBytes: number;
  /**
   * The marker of the job. The function does not know it, so the server does not accept an earlier
   * report or a forged one.
   */
  readonly marker?: string | undefined;
  /** Whether the call left nothing running that the runner knows of. */
  readonly clean?: boolean | undefined;
}

export type ReportBody =
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly error: FunctionError; readonly detail: string }
  | { readonly kind: "invalid"; readonly detail: string };

/** The line of a message from the runner. */
export const lineOf = (message: RunnerMessage): string => JSON.stringify(message);

/** The line of a report with a value, whose JSON is passed on as it is. */
export function returnedLine(json: string, rest: ReportRest): string {
  return `${JSON.stringify({ kind: "returned", ...rest }).slice(0, -1)},"value":${json}}`;
}

export const READY_LINE = lineOf({ kind: "ready" });
