/** What a fence promises: a member without touch to Consul runs nothing. */
import { FENCE_MS, FENCED_POOL } from "../calls.ts";
import type { FaultKind, History } from "../history.ts";
import { faultsOf, memberOf, type Violation } from "./work.ts";

/** A process of its own kills a stopped member's children 1 second later, or more if it is busy. */
const LATE_MS = 4_000;
/** The fault is over before its end is noted. */
const MENDED_MS = 500;
/** The member does not reach Consul from the first moment on. */
const WITHOUT_TOUCH: ReadonlySet<FaultKind> = new Set(["stop", "cut", "mute", "deaf"]);

/** The children of such a member have ended when the fence has passed, and it starts none. */
export function checkFence(history: History): Violation[] {
  const { calls, marks } = history;
  const callOf = new Map(calls.map((call) => [call.workId, call]));
  const begunAt = new Map(
    marks.filter(({ what }) => what === "begun").map(({ child, at }) => [child, at]),
  );
  const faults = faultsOf(history, WITHOUT_TOUCH);
  return marks.flatMap(({ workId, child, at, what }) => {
    const call = callOf.get(workId);
    if (call?.pool !== FENCED_POOL) return [];
    const begun = begunAt.get(child) ?? at;
    const fault = faults.find(({ hosts, from, until }) => {
      const ended = from + FENCE_MS + LATE_MS;
      const isLong = until > ended && hosts.includes(memberOf(child));
      return isLong && begun < until - MENDED_MS && at > ended;
    });
    if (!fault) return [];
    const text = `${child} ${what} ${at - fault.from} ms after its member had lost Consul`;
    return [{ rule: "a fenced child ends with its member's touch", text, call }];
  });
}
