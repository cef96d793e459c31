/** What each call is promised. */
import { FENCED_POOL } from "../calls.ts";
import type { CallRecord, Fault, FaultKind, History } from "../history.ts";
import {
  brokenBy,
  CLOCK_MS,
  ENDED,
  faultsOf,
  hit,
  memberOf,
  type Rule,
  saysNeverRan,
  type Violation,
  Work,
} from "./work.ts";

/** 45 seconds: a call that is later hangs. The SDK gives up 30 seconds after the deadline. */
export const LATE_MS = 45_000;
/** A gateway passes on what is left of a time, in whole milliseconds. */
const EARLY_MS = 250;
/** A linked child is gone after this time: its member notices, TERM, grace, KILL. */
const LINK_MS = 10_000;
/** A child that was admitted begins within this time, where no fault hits it. */
const BEGIN_MS = 5_000;

/** Faults that end children, or keep a member from running them in time. */
const HARMFUL: ReadonlySet<FaultKind> = new Set([
  ...(["kill", "stop", "rolling", "join", "released", "full", "descriptors"] as const),
]);
/** Faults in which a report may get lost. The last release loses some when it drains. */
const CRASHING: ReadonlySet<FaultKind> = new Set(["full", "descriptors", "released"]);

/** A call with what belongs to it. */
interface Context {
  /** The marks of its work; with a key, those of the child that it has named. */
  readonly work: Work;
  /** The calls of its key; the call alone without a key. */
  readonly sameKey: readonly CallRecord[];
  readonly history: History;
}

type CallRule = Rule<[call: CallRecord, context: Context]>;

/** The faults that excuse a child which does not go on. */
function harmTo({ pool }: CallRecord, history: History, child: string): readonly Fault[] {
  if (pool !== FENCED_POOL) return faultsOf(history, HARMFUL);
  // The loss of Consul raises every fence.
  return history.faults.map((fault) =>
    fault.hosts.length === 0 ? { ...fault, hosts: [memberOf(child)] } : fault,
  );
}

const RULES: Readonly<Record<string, CallRule>> = {
  "nothing runs twice": (_, { work: { begun, done } }) =>
    begun.length > 1 || done.length > 1
      ? `begun ${begun.length} times, done ${done.length} times`
      : undefined,

  "a result is of a work that was done once": ({ ending, endedAt = 0 }, { work }) => {
    if (ending?.type !== "result") return undefined;
    const [done] = work.done;
    if (work.begun.length !== 1 || work.done.length !== 1 || !done)
      return `begun ${work.begun.length} times, done ${work.done.length} times`;
    const late = done.at - endedAt;
    return late > CLOCK_MS ? `done ${late} ms after its result` : undefined;
  },

  "a result has the call's own value": ({ ending, workId }) =>
    ending?.type === "result" && ending.value !== undefined && ending.value !== workId
      ? `expected ${workId}; got ${ending.value}`
      : undefined,

  "a call that was refused never runs": (call, { work: { begun } }) =>
    !call.isKeyed && saysNeverRan(call.ending) && begun.length > 0
      ? `begun by ${begun[0]?.child}`
      : undefined,

  "a child that was admitted exists": (call, { work, history }) => {
    const { ending, placed, deadlineMs, startedAt, link } = call;
    if (ending?.type !== "failed" || ending.admitted !== true) return undefined;
    if (!placed) return "no child is named";
    if (work.begun.length > 0) return undefined;
    if (ending.code === "sandbox_unavailable") return `${placed.child} could not be started`;
    if (link) return undefined;
    const until = placed.at + BEGIN_MS;
    if (until > startedAt + deadlineMs) return undefined;
    const child = placed.child;
    return hit(harmTo(call, history, child), [memberOf(child)], [startedAt, until])
      ? undefined
      : `${child} never began`;
  },

  "the child that a call names runs its work": ({ placed, isKeyed }, { work: { begun } }) => {
    const [only, other] = begun;
    if (!placed || isKeyed || !only || other) return undefined;
    return only.child === placed.child ? undefined : `begun by ${only.child}`;
  },

  "a function that threw has run": ({ ending, throws }, { work: { begun, done } }) => {
    if (ending?.type !== "failed" || ending.code !== "function_threw") return undefined;
    if (!throws) return "it throws nothing";
    return begun.length === 1 && done.length === 0 ? undefined : `begun ${begun.length} times`;
  },

  "a work that was done did not crash": ({ ending, endedAt = 0, startedAt }, context) => {
    const [done] = context.work.done;
    if (ending?.type !== "failed" || ending.code !== "worker_crashed" || !done) return undefined;
    const faults = faultsOf(context.history, CRASHING);
    return hit(faults, [memberOf(done.child)], [startedAt, endedAt]) ? undefined : ending.detail;
  },

  "nothing runs after its reported end": ({ ending, endedAt = 0 }, { work: { last } }) =>
    ending?.type === "failed" && ENDED.has(ending.code) && last > endedAt + CLOCK_MS
      ? `marked ${last - endedAt} ms after ${ending.code}`
      : undefined,

  "every call ends": ({ startedAt, endedAt, deadlineMs }) => {
    if (endedAt === undefined) return "it never ended";
    const late = endedAt - startedAt - deadlineMs;
    return late > LATE_MS ? `it ended ${late} ms after its deadline` : undefined;
  },

  "no time is over before it has passed": (call, { sameKey }) => {
    const { ending, endedAt = 0, startedAt } = call;
    if (ending?.type !== "failed") return undefined;
    // The deadline of a child counts from the call that has started it.
    const first = Math.min(...sameKey.map((each) => each.startedAt));
    const times: Record<string, readonly [ms: number, from: number]> = {
      deadline_exceeded: [call.deadlineMs, first],
      queue_timeout: [Math.min(call.waitMs, call.deadlineMs), startedAt],
    };
    const [ms, from] = times[ending.code] ?? [0, startedAt];
    const early = ms - (endedAt - from);
    return early > EARLY_MS ? `${ending.code} came ${early} ms early` : undefined;
  },

  "an ending is one of the contract": ({ ending }) =>
    ending?.type === "broken" ? ending.detail : undefined,

  "a linked child ends with its caller": (call, { work, history }) => {
    const { ending, link, endedAt = 0, placed, asked, isKeyed } = call;
    // A child of a key is linked to the callers of its own member alone.
    if (ending?.type !== "left" || !link || !placed || isKeyed) return undefined;
    const hosts = [memberOf(placed.child), ...(asked ? [asked] : [])];
    if (hit(history.faults, hosts, [placed.at, endedAt + LINK_MS])) return undefined;
    const late = work.done.find(({ at }) => at > endedAt + LINK_MS);
    return late ? `done ${late.at - endedAt} ms after its caller had left` : undefined;
  },

  "a child lives on when its caller leaves": (call, { work, sameKey, history }) => {
    const { ending, link, placed, takesMs, deadlineMs, throws, operation } = call;
    // The input of a pipe may break off with its caller, which stops the child.
    if (ending?.type !== "left" || link || throws || !placed || operation === "pipe")
      return undefined;
    // A child close to its deadline may be late for other reasons.
    if (takesMs * 2 + 5_000 > deadlineMs) return undefined;
    const first = Math.min(...sameKey.map(({ startedAt }) => startedAt));
    const harm = harmTo(call, history, placed.child);
    if (hit(harm, [memberOf(placed.child)], [first, call.startedAt + deadlineMs])) return undefined;
    return work.begun.length === 1 && work.done.length === 1
      ? undefined
      : `begun ${work.begun.length} times, done ${work.done.length} times`;
  },
};

export function checkCalls(history: History): Violation[] {
  const marks = Map.groupBy(history.marks, ({ workId }) => workId);
  const calls = Map.groupBy(history.calls, ({ workId }) => workId);
  return history.calls.flatMap((call) => {
    const all = marks.get(call.workId) ?? [];
    const own = all.filter(({ child }) => child === call.placed?.child);
    const work = new Work(call.isKeyed ? own : all);
    const context = { work, sameKey: calls.get(call.workId) ?? [], history };
    return brokenBy(RULES, [call, context], call);
  });
}
