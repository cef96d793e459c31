/** What the rules ask of a history: the marks of a work, and the faults near it. */
import type { CallRecord, Ending, Fault, FaultKind, History, Mark } from "../history.ts";

/** Both clocks are the machine's own, one in milliseconds and one in microseconds. */
export const CLOCK_MS = 5;

/** Codes of a child's own ending, after which none of its processes is left. */
export const ENDED: ReadonlySet<string> = new Set([
  "deadline_exceeded",
  "cancelled",
  "out_of_memory",
  "worker_crashed",
  "function_threw",
  "payload_too_large",
]);
/** Codes that say that no program was started, although the call may not simply be repeated. */
const NEVER_STARTED = new Set([
  "sandbox_unavailable",
  "fetch_failed",
  "invalid_request",
  "pool_not_found",
  "task_not_found",
  "runtime_not_found",
]);

export interface Violation {
  readonly rule: string;
  readonly text: string;
  readonly call?: CallRecord;
}

/** The marks of one work, in the order of their time. */
export class Work {
  readonly begun: readonly Mark[];
  readonly done: readonly Mark[];
  readonly last: number;

  constructor(marks: readonly Mark[]) {
    this.begun = marks.filter(({ what }) => what === "begun");
    this.done = marks.filter(({ what }) => what === "done");
    this.last = Math.max(Number.NEGATIVE_INFINITY, ...marks.map(({ at }) => at));
  }
}

/** Returns what is wrong; undefined when the history keeps the rule. */
export type Rule<Of extends unknown[]> = (...of: Of) => string | undefined;

export const memberOf = (child: string) => child.slice(0, child.lastIndexOf("."));

/** Whether such a fault hit one of the hosts in this time. */
export function hit(
  faults: readonly Fault[],
  hosts: readonly string[],
  [from, until]: [number, number],
): boolean {
  return faults.some(
    (fault) =>
      fault.from <= until &&
      fault.until >= from &&
      fault.hosts.some((host) => hosts.includes(host)),
  );
}

export const faultsOf = ({ faults }: History, kinds: ReadonlySet<FaultKind>) =>
  faults.filter(({ kind }) => kinds.has(kind));

/** Whether the ending says that nothing was run for this call. */
export function saysNeverRan(ending: Ending | undefined): boolean {
  if (ending?.type !== "failed") return false;
  if (ending.admitted !== undefined) return ending.admitted === false;
  return ending.retryable || NEVER_STARTED.has(ending.code);
}

/** The violations of rules, by their names. */
export function brokenBy<Of extends unknown[]>(
  rules: Readonly<Record<string, Rule<Of>>>,
  of: Of,
  call?: CallRecord,
): Violation[] {
  return Object.entries(rules).flatMap(([rule, holds]) => {
    const text = holds(...of);
    return text === undefined ? [] : [{ rule, text, ...(call && { call }) }];
  });
}
