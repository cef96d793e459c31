/** What a fence promises: a member without touch to Consul runs nothing. */
import { FENCE_MS, FENCED_POOL } from "../calls.ts";
import type { Fault, FaultKind, History } from "../history.ts";
import { faultsOf, memberOf, type Violation } from "./work.ts";

/** A process of its own kills a stopped member's children 1 second later, or more if it is busy. */
const LATE_MS = 4_000;
/** The fault is over before its end is noted. */
const MENDED_MS = 500;
/** The member does not reach Consul from the first moment on. */
const WITHOUT_TOUCH: ReadonlySet<FaultKind> = new Set(["stop", "cut", "mute", "deaf"]);

/** A fault that is long enough for the fence, and when the children of its members have ended. */
interface Fenced {
  readonly fault: Fault;
  readonly ended: number;
}

const longFaults = (history: History): Fenced[] =>
  faultsOf(history, WITHOUT_TOUCH)
    .map((fault) => ({ fault, ended: fault.from + FENCE_MS + LATE_MS }))
    .filter(({ fault, ended }) => fault.until > ended);

/** The children of such a member have ended when the fence has passed, and it starts none. */
export function checkFence(history: History): Violation[] {
  const { calls, marks } = history;
  const callOf = new Map(calls.map((call) => [call.workId, call]));
  const begunAt = new Map(
    marks.filter(({ what }) => what === "begun").map(({ child, at }) => [child, at]),
  );
  const faults = longFaults(history);
  return marks.flatMap(({ workId, child, at, what }) => {
    const call = callOf.get(workId);
    if (call?.pool !== FENCED_POOL) return [];
    const begun = begunAt.get(child) ?? at;
    const broken = faults.find(
      ({ fault: { hosts, until }, ended }) =>
        hosts.includes(memberOf(child)) && begun < until - MENDED_MS && at > ended,
    );
    if (!broken) return [];
    const text = `${child} ${what} ${at - broken.fault.from} ms after its member had lost Consul`;
    return [{ rule: "a fenced child ends with its member's touch", text, call }];
  });
}

/** How many children would have broken the rule without a fence. */
export function fencedChildren(history: History): number {
  const takesMs = new Map(
    history.calls
      .filter(({ pool }) => pool === FENCED_POOL)
      .map((call) => [call.workId, call.takesMs]),
  );
  const faults = longFaults(history);
  return history.marks.filter(
    ({ what, child, workId, at }) =>
      what === "begun" &&
      faults.some(
        ({ fault: { hosts, from }, ended }) =>
          hosts.includes(memberOf(child)) && at < from && at + (takesMs.get(workId) ?? 0) > ended,
      ),
  ).length;
}
