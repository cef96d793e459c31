/** How a child ends: one event, made of the first cause, the work's outcome and the artifacts. */
import { type ErrorCode, type FunctionError, problem } from "../../openapi/errors.ts";
import type { EventOf } from "../../openapi/events.ts";
import type { Usage } from "../../openapi/schemas/endings.ts";
import type { MeasuredUsage, Outcome } from "../runtimes/runtime.ts";
import type { ChildLimits } from "../sandbox/confinement.ts";
import type { Exit, SandboxedProcess } from "../sandbox/sandbox.ts";
import type { Artifacts } from "../workspace/artifacts.ts";

/** Why the server stops a child. */
export type StopCause = Extract<ErrorCode, "cancelled" | "deadline_exceeded" | "payload_too_large">;

/** Why the server ended the child, or could not start it. Only the first cause counts. */
export interface Cause {
  readonly code: ErrorCode;
  readonly detail: string;
  /** False when the program certainly never ran, whatever the cause. Default: it is not known. */
  readonly admitted?: false | undefined;
}

/** How the work ended. */
export interface Ending {
  readonly outcome: Outcome;
  /** Undefined when the work ended by itself. */
  readonly cause: Cause | undefined;
  readonly usage: Usage;
}

/** The limit for which the sandbox killed the child, unless a function had reported its outcome. */
export function exceededCause(
  { exceeded }: Exit,
  { kind }: Outcome,
  limits: ChildLimits,
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

/**
 * The usage of the whole process tree.
 *
 * @param startedMs the child's start, a time of `performance.now()`.
 * @param counted by the sandbox, which comes first.
 * @param measured by the runtime inside the child.
 */
export function usageOf(
  startedMs: number,
  counted?: MeasuredUsage,
  measured?: MeasuredUsage,
): Usage {
  const cpuMs = counted?.cpuMs ?? measured?.cpuMs ?? null;
  return {
    wallMs: toMicroseconds(performance.now() - startedMs),
    cpuMs: cpuMs === null ? null : toMicroseconds(cpuMs),
    maxRssBytes: counted?.maxRssBytes ?? measured?.maxRssBytes ?? null,
  };
}

/** The usage so far of a process that runs; undefined before there is one. */
export function usageSoFar(
  startedMs: number,
  process: Pick<SandboxedProcess, "usedMs" | "peakBytes"> | undefined,
): Usage | undefined {
  if (!process) return undefined;
  const [cpuMs = null, maxRssBytes = null] = [process.usedMs(), process.peakBytes?.()];
  return usageOf(startedMs, { cpuMs, maxRssBytes });
}

/** Milliseconds, without the noise below a microsecond. */
function toMicroseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** The codes of outcomes without a result. */
const FAILURES = {
  threw: "function_threw",
  invalid: "invalid_request",
  unavailable: "sandbox_unavailable",
  crashed: "worker_crashed",
} as const;

interface Failure {
  readonly detail: string;
  readonly admitted?: boolean | undefined;
  readonly exitCode?: number | undefined;
  readonly error?: FunctionError;
}

/** The exit code of a process that ended without the report of a function; 128 + n for a signal. */
function exitCodeOf(outcome: Outcome): number | undefined {
  if (outcome.kind === "exited") return outcome.exit.exitCode;
  return outcome.kind === "crashed" ? outcome.exitCode : undefined;
}

/** The terminal event: the server's cause if there is one, else the work's own outcome. */
export function terminalEvent(
  { outcome, cause, usage }: Ending,
  artifacts: Artifacts | undefined,
): EventOf<"result"> | EventOf<"failed"> {
  const base = { usage, artifacts: artifacts?.list() ?? [] };
  const failed = (code: ErrorCode, { detail, admitted, exitCode, error }: Failure) => ({
    type: "failed" as const,
    problem: problem(code, detail, {
      ...(error && { error }),
      ...(admitted !== undefined && { admitted }),
    }),
    ...(exitCode !== undefined && { exitCode }),
    ...base,
  });
  if (cause) return failed(cause.code, { ...cause, exitCode: exitCodeOf(outcome) });
  if (outcome.kind === "unavailable")
    return failed(FAILURES.unavailable, { ...outcome, admitted: outcome.began });
  if (outcome.kind !== "exited" && outcome.kind !== "returned")
    return failed(FAILURES[outcome.kind], outcome);
  const result =
    outcome.kind === "exited"
      ? { exitCode: outcome.exit.exitCode }
      : { value: outcome.value, ...(outcome.encoding && { encoding: outcome.encoding }) };
  if (artifacts?.problem !== undefined)
    return failed("payload_too_large", { detail: `artifacts: ${artifacts.problem}`, ...result });
  return { type: "result", ...result, ...base };
}
