/**
 * What the product promises of a history, as rules. `check` is a pure function: it needs no clock
 * and no process, so unit tests can show that each rule fails when it should.
 *
 * A rule that a later promise tightens says so after the word TIGHTEN.
 */
import type { CallRecord, Ending, Fault, History, Mark } from "./history.ts";

/** Both clocks are the machine's own, one in milliseconds and one in microseconds. */
const CLOCK_MS = 5;
/** 45 seconds: a call that is later hangs. The SDK gives up 30 seconds after the deadline. */
export const LATE_MS = 45_000;
/** A gateway passes on what is left of a time, in whole milliseconds. */
const EARLY_MS = 250;
/** A linked child is gone after this time: its member notices, TERM, grace, KILL. */
const LINK_MS = 10_000;
/** A killed member's children are gone after this time. */
const ORPHAN_MS = 5_000;
/** Connections that members and clients keep for their next requests. */
const KEPT_DESCRIPTORS = 64;

/** Codes of an ending after which no process of the child is left. */
const OVER = new Set([
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
/** Faults that end children, or keep a member from running them in time. */
const HARMFUL = new Set(["kill", "stop", "rolling", "join", "released", "full", "descriptors"]);

export interface Violation {
  readonly rule: string;
  readonly text: string;
  readonly call?: CallRecord;
}

/** The marks of one work, in the order of their time. */
class Work {
  readonly begun: readonly Mark[];
  readonly done: readonly Mark[];
  readonly last: number;

  constructor(marks: readonly Mark[]) {
    this.begun = marks.filter(({ what }) => what === "begun");
    this.done = marks.filter(({ what }) => what === "done");
    this.last = Math.max(Number.NEGATIVE_INFINITY, ...marks.map(({ at }) => at));
  }
}

type CallRule = (call: CallRecord, work: Work, history: History) => string | undefined;

const memberOf = (child: string) => child.slice(0, child.lastIndexOf("."));

/** Whether such a fault hit one of the hosts in this time. */
function hit(faults: readonly Fault[], hosts: readonly string[], [from, until]: [number, number]) {
  return faults.some(
    (fault) =>
      fault.from <= until &&
      fault.until >= from &&
      fault.hosts.some((host) => hosts.includes(host)),
  );
}

/** Nothing was run, as the ending says. */
function saysNeverRan(ending: Ending): boolean {
  if (ending.type !== "failed") return false;
  if (ending.admitted !== undefined) return ending.admitted === false;
  return ending.retryable || NEVER_STARTED.has(ending.code);
}

const CALL_RULES: Readonly<Record<string, CallRule>> = {
  "nothing runs twice": (_, { begun, done }) =>
    begun.length > 1 || done.length > 1
      ? `begun ${begun.length} times, done ${done.length} times`
      : undefined,

  // TIGHTEN: a caller's own key makes the work of several calls one work, by `workId`.
  "a result is of a work that was done once": ({ ending, endedAt = 0 }, { begun, done }) => {
    if (ending?.type !== "result") return undefined;
    if (begun.length !== 1 || done.length !== 1)
      return `begun ${begun.length} times, done ${done.length} times`;
    const late = (done[0] as Mark).at - endedAt;
    return late > CLOCK_MS ? `done ${late} ms after its result` : undefined;
  },

  "a result has the call's own value": ({ ending, workId }) =>
    ending?.type === "result" && ending.value !== undefined && ending.value !== workId
      ? `expected ${workId}; got ${ending.value}`
      : undefined,

  // TIGHTEN: `member_lost` with `admitted: true` names a child that exists; with `false`, none.
  "a call that was refused never runs": ({ ending }, { begun }) =>
    ending && saysNeverRan(ending) && begun.length > 0 ? `begun by ${begun[0]?.child}` : undefined,

  "a function that threw has run": ({ ending, throws }, { begun, done }) => {
    if (ending?.type !== "failed" || ending.code !== "function_threw") return undefined;
    if (!throws) return "it throws nothing";
    return begun.length === 1 && done.length === 0 ? undefined : `begun ${begun.length} times`;
  },

  // TIGHTEN: with `--fence-ms`, the same after `member_lost`, once the fence has passed.
  "nothing runs after its reported end": ({ ending, endedAt = 0 }, { last }) =>
    ending?.type === "failed" && OVER.has(ending.code) && last > endedAt + CLOCK_MS
      ? `marked ${last - endedAt} ms after ${ending.code}`
      : undefined,

  "every call ends": ({ startedAt, endedAt, deadlineMs }) => {
    if (endedAt === undefined) return "it never ended";
    const late = endedAt - startedAt - deadlineMs;
    return late > LATE_MS ? `it ended ${late} ms after its deadline` : undefined;
  },

  // TIGHTEN: `worker_crashed` after a work that was done, on a member without faults, is false.
  "no time is over before it has passed": ({ ending, startedAt, endedAt = 0, ...plan }) => {
    if (ending?.type !== "failed") return undefined;
    const times: Record<string, number> = {
      deadline_exceeded: plan.deadlineMs,
      queue_timeout: Math.min(plan.waitMs, plan.deadlineMs),
    };
    const early = (times[ending.code] ?? 0) - (endedAt - startedAt);
    return early > EARLY_MS ? `${ending.code} came ${early} ms early` : undefined;
  },

  "an ending is one of the contract": ({ ending }) =>
    ending?.type === "broken" ? ending.detail : undefined,

  "a linked child ends with its caller": (call, { done }, { faults }) => {
    const { ending, link, endedAt = 0, placed, asked } = call;
    if (ending?.type !== "left" || !link || !placed) return undefined;
    const hosts = [memberOf(placed.child), ...(asked ? [asked] : [])];
    if (hit(faults, hosts, [placed.at, endedAt + LINK_MS])) return undefined;
    const late = done.find(({ at }) => at > endedAt + LINK_MS);
    return late ? `done ${late.at - endedAt} ms after its caller had left` : undefined;
  },

  "a child lives on when its caller leaves": (call, { begun, done }, { faults }) => {
    const { ending, link, placed, takesMs, deadlineMs, throws, startedAt } = call;
    if (ending?.type !== "left" || link || throws || !placed) return undefined;
    // A child close to its deadline may be late for other reasons.
    if (takesMs * 2 + 5_000 > deadlineMs) return undefined;
    const harm = faults.filter(({ kind }) => HARMFUL.has(kind));
    if (hit(harm, [memberOf(placed.child)], [startedAt, startedAt + deadlineMs])) return undefined;
    return begun.length === 1 && done.length === 1
      ? undefined
      : `begun ${begun.length} times, done ${done.length} times`;
  },
};

function checkCalls(history: History): Violation[] {
  const marks = Map.groupBy(history.marks, ({ workId }) => workId);
  return history.calls.flatMap((call) => {
    const work = new Work(marks.get(call.workId) ?? []);
    return Object.entries(CALL_RULES).flatMap(([rule, holds]) => {
      const text = holds(call, work, history);
      return text === undefined ? [] : [{ rule, text, call }];
    });
  });
}

/** A mark that no call made belongs to somebody else, or the history has a hole. */
function checkMarks({ calls, marks }: History): Violation[] {
  const known = new Set(calls.map(({ workId }) => workId));
  return marks
    .filter(({ workId }) => !known.has(workId))
    .map(({ workId }) => ({ rule: "only what was called runs", text: `mark of ${workId}` }));
}

/** A member's death takes its children along. */
function checkOrphans({ calls, marks, exits }: History): Violation[] {
  const begunAt = new Map(
    marks.filter(({ what }) => what === "begun").map(({ child, at }) => [child, at]),
  );
  return marks.flatMap(({ child, workId, at }) => {
    const begun = begunAt.get(child) ?? at;
    const death = exits.find(
      (exit) => exit.member === memberOf(child) && exit.at > begun && exit.at + ORPHAN_MS < at,
    );
    if (!death) return [];
    const call = calls.find((each) => each.workId === workId);
    const text = `${child} marked ${at - death.at} ms after the death of its member`;
    return [{ rule: "a child dies with its member", text, ...(call && { call }) }];
  });
}

function checkMembers({ exits, rest }: History): Violation[] {
  const ended = exits
    .filter(({ asked }) => !asked)
    .map(({ member, detail }) => ({
      rule: "a member ends only when asked",
      text: `${member}: ${detail}`,
    }));
  const unrested = rest.flatMap((each) => {
    const { groups, files, remains, warm } = each;
    const leaks: Record<string, readonly [count: number, names?: readonly string[]]> = {
      slots: [each.active],
      waiters: [each.queued],
      groups: [groups.length - warm, groups],
      files: [files.length - warm, files],
      remains: [remains.length, remains],
      descriptors: [each.descriptors - each.descriptorsAtStart - KEPT_DESCRIPTORS],
    };
    return Object.entries(leaks)
      .filter(([, [count]]) => count > 0)
      .map(([name, [count, names = []]]) => ({
        rule: "everything is back at rest",
        text: `${each.member}: ${count} ${name} too many ${names.join(" ")}`,
      }));
  });
  return [...ended, ...unrested];
}

/** All violations of the promises, in no order. Empty for a history that keeps them. */
export function check(history: History): Violation[] {
  return [
    ...checkCalls(history),
    ...checkMarks(history),
    ...checkOrphans(history),
    ...checkMembers(history),
  ];
}
