/** The model fails on each history that breaks a promise, and passes those that keep them. */
import { describe, expect, test } from "vitest";
import { FENCE_MS, FENCED_POOL } from "../recorder/calls.ts";
import type { CallRecord, Ending, Exit, Fault, History, Mark, Rest } from "../recorder/history.ts";
import { check } from "../recorder/model.ts";
import { LATE_MS } from "../recorder/rules/calls.ts";
import { fencedChildren } from "../recorder/rules/fence.ts";

const CALL: CallRecord = {
  id: "c0-1",
  workId: "c0-1",
  isKeyed: false,
  begins: 0,
  retries: 0,
  client: "c0",
  way: "http",
  operation: "call",
  work: "command",
  pool: "pipeline",
  takesMs: 0,
  deadlineMs: 10_000,
  waitMs: 0,
  link: false,
  throws: false,
  stubborn: false,
  target: 0,
  asked: "m2",
  startedAt: 1_000,
  placed: { child: "m1.a", at: 1_100 },
  endedAt: 2_000,
  ending: { type: "result", value: "c0-1" },
};
const BEGUN: Mark = { workId: "c0-1", child: "m1.a", what: "begun", at: 1_200 };
const DONE: Mark = { ...BEGUN, what: "done", at: 1_900 };
const REST: Rest = {
  member: "m1",
  active: 0,
  queued: 0,
  groups: [],
  files: [],
  remains: [],
  descriptors: 30,
  warm: 0,
  descriptorsAtStart: 30,
};

const failed = (code: string, extras: object = {}): Ending => ({
  type: "failed",
  code,
  retryable: false,
  detail: "",
  ...extras,
});

interface Parts {
  readonly call?: Partial<CallRecord>;
  readonly marks?: readonly Mark[];
  readonly faults?: readonly Fault[];
  readonly exits?: readonly Exit[];
  readonly rest?: Partial<Rest>;
}

function history({ call = {}, marks = [BEGUN, DONE], rest = {}, ...others }: Parts): History {
  return {
    calls: [{ ...CALL, ...call }],
    marks,
    faults: [],
    exits: [],
    rest: [{ ...REST, ...rest }],
    ...others,
  };
}

const broken = (parts: Parts) => check(history(parts)).map(({ rule }) => rule);

describe("a history that keeps the promises", () => {
  test.each<[string, Parts]>([
    ["a result of a work that was done", {}],
    [
      "a refusal of a work that never ran",
      { call: { ending: failed("at_capacity", { retryable: true }) }, marks: [] },
    ],
    ["a lost member, whose child ran on", { call: { ending: failed("member_lost") } }],
    [
      "a deadline that cut the work",
      { call: { ending: failed("deadline_exceeded"), endedAt: 11_000 }, marks: [BEGUN] },
    ],
    ["a cut stream", { call: { ending: { type: "cut", detail: "" } } }],
    [
      "a stream that was handed over",
      { call: { ending: failed("draining", { retryable: true, admitted: true }) } },
    ],
    [
      "a pipe whose input broke off with its caller",
      { call: { operation: "pipe", ending: { type: "left" } }, marks: [BEGUN] },
    ],
    [
      "a crash after the work was done, on a full disk",
      {
        call: { ending: failed("worker_crashed") },
        faults: [{ kind: "full", hosts: ["m1"], from: 1_500, until: 3_000 }],
      },
    ],
    [
      "a child that was admitted and killed before it began",
      {
        call: { ending: failed("member_lost", { admitted: true }) },
        marks: [],
        faults: [{ kind: "kill", hosts: ["m1"], from: 1_150, until: 3_000 }],
      },
    ],
    [
      "a linked child that ended with its caller",
      { call: { ending: { type: "left" }, link: true }, marks: [BEGUN] },
    ],
  ])("%s", (_, parts) => {
    expect(check(history(parts))).toEqual([]);
  });
});

describe("a call that breaks a promise", () => {
  test.each<[string, string, Parts]>([
    [
      "a work that began twice",
      "nothing runs twice",
      {
        call: { ending: failed("member_lost") },
        marks: [BEGUN, { ...BEGUN, child: "m2.b" }, DONE],
      },
    ],
    ["a lost result", "a result is of a work that was done once", { marks: [BEGUN] }],
    ["a result before its work", "a result is of a work that was done once", { marks: [] }],
    [
      "a result of another call",
      "a result has the call's own value",
      { call: { ending: { type: "result", value: "c0-2" } } },
    ],
    [
      "a false `admitted: false`",
      "a call that was refused never runs",
      { call: { ending: failed("member_lost", { admitted: false }) } },
    ],
    [
      "a retryable refusal that ran",
      "a call that was refused never runs",
      { call: { ending: failed("queue_timeout", { retryable: true }) } },
    ],
    [
      "a sandbox that did not start, and ran",
      "a call that was refused never runs",
      { call: { ending: failed("sandbox_unavailable") }, marks: [BEGUN] },
    ],
    [
      "an `admitted: true` that names no child",
      "a child that was admitted exists",
      { call: { ending: failed("member_lost", { admitted: true }), placed: undefined } },
    ],
    [
      "an `admitted: true` of a child that never began",
      "a child that was admitted exists",
      { call: { ending: failed("member_lost", { admitted: true }) }, marks: [] },
    ],
    [
      "an `admitted: true` of a child that could not be started",
      "a child that was admitted exists",
      {
        call: { ending: failed("sandbox_unavailable", { admitted: true }), link: true },
        marks: [],
      },
    ],
    [
      "another child than the one that was named",
      "the child that a call names runs its work",
      { call: { placed: { child: "m2.b", at: 1_100 } } },
    ],
    [
      "a crash after the work was done",
      "a work that was done did not crash",
      { call: { ending: failed("worker_crashed") } },
    ],
    [
      "a function that threw what it does not throw",
      "a function that threw has run",
      { call: { ending: failed("function_threw") }, marks: [BEGUN] },
    ],
    [
      "a work that went on after its deadline",
      "nothing runs after its reported end",
      {
        call: { ending: failed("deadline_exceeded"), endedAt: 11_000 },
        marks: [BEGUN, { ...DONE, at: 11_500 }],
      },
    ],
    [
      "a call that never ended",
      "every call ends",
      { call: { endedAt: undefined, ending: undefined } },
    ],
    [
      "a call that ended late",
      "every call ends",
      { call: { endedAt: 1_000 + 10_000 + LATE_MS + 1 } },
    ],
    [
      "a deadline of a clock that stepped",
      "no time is over before it has passed",
      { call: { ending: failed("deadline_exceeded"), endedAt: 6_000 }, marks: [BEGUN] },
    ],
    [
      "an error of no contract",
      "an ending is one of the contract",
      { call: { ending: { type: "broken", detail: "TypeError" } } },
    ],
    [
      "a linked child that outlived its caller",
      "a linked child ends with its caller",
      { call: { ending: { type: "left" }, link: true }, marks: [BEGUN, { ...DONE, at: 20_000 }] },
    ],
    [
      "a child that died with its caller",
      "a child lives on when its caller leaves",
      { call: { ending: { type: "left" } }, marks: [BEGUN] },
    ],
    [
      "a mark that nobody called for",
      "only what was called runs",
      { marks: [BEGUN, DONE, { ...BEGUN, workId: "c9-9" }] },
    ],
    [
      "a child that outlived its member",
      "a child dies with its member",
      {
        call: { ending: failed("member_lost") },
        marks: [BEGUN, { ...DONE, at: 9_000 }],
        exits: [{ member: "m1", at: 1_500, asked: true, detail: "" }],
      },
    ],
  ])("%s", (_, rule, parts) => {
    expect(broken(parts)).toEqual([rule]);
  });
});

/** A second call with the key of the first one. */
const AGAIN: CallRecord = { ...CALL, id: "c0-1-1", asked: "m3", startedAt: 1_500, endedAt: 2_500 };
const OTHER: Mark = { ...BEGUN, child: "m2.b", at: 1_700 };
const REFUSED = failed("idempotency_unavailable", { retryable: true, admitted: false });

interface KeyedParts {
  readonly first?: Partial<CallRecord>;
  readonly again?: Partial<CallRecord>;
  readonly marks?: readonly Mark[];
  readonly faults?: readonly Fault[];
}

function keyed({ first = {}, again = {}, marks = [BEGUN, DONE], faults = [] }: KeyedParts) {
  const calls = [
    { ...CALL, isKeyed: true, ...first },
    { ...AGAIN, isKeyed: true, ...again },
  ];
  return check({ ...history({}), calls, marks, faults }).map(({ rule }) => rule);
}

describe("calls of one key", () => {
  const lost = { ending: failed("member_lost", { admitted: "unknown" }), placed: undefined };
  const emptied: Fault = { kind: "empty", hosts: [], from: 1_550, until: 1_600 };

  test.each<[string, KeyedParts]>([
    ["two answers of one child", {}],
    ["a lost answer, and the child's", { first: lost }],
    ["a refusal beside an answer", { again: { ending: REFUSED, placed: undefined } }],
    [
      "two refusals",
      {
        first: { ending: REFUSED, placed: undefined },
        again: { ending: REFUSED, placed: undefined },
        marks: [],
      },
    ],
    [
      "a child that could not be started, and another",
      {
        again: {
          placed: { child: "m2.b", at: 1_600 },
          ending: failed("sandbox_unavailable", { admitted: false }),
        },
      },
    ],
    [
      "a child whose deadline counts from the first call",
      {
        first: { endedAt: 11_000, ending: failed("deadline_exceeded") },
        again: { endedAt: 11_000, ending: failed("deadline_exceeded") },
        marks: [BEGUN],
      },
    ],
    [
      "a second child of a request that arrived after Consul had lost its data",
      {
        first: { endedAt: 1_520 },
        again: { ...lost, endedAt: 1_530 },
        marks: [BEGUN, { ...DONE, at: 1_510 }, OTHER],
        faults: [emptied],
      },
    ],
    [
      "a second child, after Consul had lost its data",
      {
        again: { placed: { child: OTHER.child, at: 1_650 } },
        marks: [BEGUN, DONE, OTHER, { ...OTHER, what: "done", at: 1_900 }],
        faults: [emptied],
      },
    ],
  ])("may have %s", (_, parts) => {
    expect(keyed(parts)).toEqual([]);
  });

  test.each<[string, string, KeyedParts]>([
    ["two children", "a key starts one child", { again: lost, marks: [BEGUN, DONE, OTHER] }],
    [
      "a child that begins twice",
      "a key starts one child",
      { first: lost, again: lost, marks: [BEGUN, { ...BEGUN, at: 1_700 }] },
    ],
    [
      "three children, after Consul had lost its data once",
      "a key starts one child",
      {
        again: { ...lost, deadlineMs: 9_000 },
        marks: [BEGUN, DONE, OTHER, { ...OTHER, child: "m3.c", at: 1_800 }],
        faults: [emptied],
      },
    ],
    [
      "answers of two children",
      "all answers of a key name one child",
      { again: { placed: { child: "m2.b", at: 1_600 }, ending: failed("member_lost") } },
    ],
    [
      "two endings",
      "all answers of a key have one ending",
      { again: { ending: failed("cancelled") } },
    ],
    [
      "refusals alone, and a child",
      "a key that was refused starts nothing",
      {
        first: { ending: REFUSED, placed: undefined },
        again: { ending: REFUSED, placed: undefined },
      },
    ],
    [
      "a child before the first call that was not refused",
      "a key that was refused starts nothing",
      { first: { ending: REFUSED, placed: undefined }, again: { startedAt: 1_900 } },
    ],
    [
      "a conflict over the same spec",
      "a key keeps its spec",
      { again: { ending: failed("idempotency_conflict"), placed: undefined } },
    ],
  ])("may not have %s", (_, rule, parts) => {
    expect(keyed(parts)).toContain(rule);
  });
});

describe("a fence", () => {
  const call = { pool: FENCED_POOL, deadlineMs: 60_000, ending: failed("member_lost") };
  const stopped: Fault = { kind: "stop", hosts: ["m1"], from: 1_500, until: 21_500 };
  const at = (ms: number) => ({ call, marks: [BEGUN, { ...DONE, at: ms }] });
  const late = stopped.from + FENCE_MS + 4_001;
  const rule = "a fenced child ends with its member's touch";

  test.each(["stop", "cut", "mute", "deaf"] as const)("is broken by a child (%s)", (kind) => {
    expect(broken({ ...at(late), faults: [{ ...stopped, kind }] })).toEqual([rule]);
    expect(broken({ ...at(late + 60_000), faults: [{ ...stopped, kind }] })).toEqual([rule]);
  });

  test("is known to have met a child", () => {
    const met = (takesMs: number) =>
      fencedChildren({
        ...history({ call: { ...call, takesMs }, marks: [BEGUN] }),
        faults: [stopped],
      });
    expect([met(20_000), met(10_000)]).toEqual([1, 0]);
  });

  test("is broken by a child that begins behind it", () => {
    const marks = [{ ...BEGUN, at: late }];
    expect(broken({ call, marks, faults: [stopped] })).toEqual([rule]);
  });

  test.each<[string, Parts]>([
    ["in time", { ...at(late - 1), faults: [stopped] }],
    ["of a short fault", { ...at(late), faults: [{ ...stopped, until: 11_000 }] }],
    ["of another member", { ...at(late), faults: [{ ...stopped, hosts: ["m2"] }] }],
    [
      "of a fault that Consul does not notice",
      { ...at(late), faults: [{ ...stopped, kind: "apart" }] },
    ],
    [
      "of a pool without one",
      { call: { ...call, pool: "pipeline" }, marks: at(late).marks, faults: [stopped] },
    ],
    ["that began after the fault", { call, marks: [{ ...BEGUN, at: 21_600 }], faults: [stopped] }],
  ])("allows a child %s", (_, parts) => {
    expect(broken(parts)).toEqual([]);
  });
});

describe("a member that breaks a promise", () => {
  test.each<[string, Partial<Rest>]>([
    ["slot", { active: 1 }],
    ["waiter", { queued: 1 }],
    ["group", { groups: ["1"] }],
    ["file", { files: ["1"] }],
    ["folder of a killed process", { remains: ["distributed-pool-1"] }],
    ["descriptor", { descriptors: 200 }],
  ])("a leaked %s", (_, rest) => {
    expect(broken({ rest })).toEqual(["everything is back at rest"]);
  });

  test("a member that ended by itself", () => {
    const exits = [{ member: "m1", at: 5_000, asked: false, detail: "code 1" }];
    expect(broken({ exits })).toEqual(["a member ends only when asked"]);
  });
});

describe("a fault that excuses", () => {
  const fault = (kind: Fault["kind"], host: string): Fault => ({
    kind,
    hosts: [host],
    from: 1_500,
    until: 3_000,
  });

  test("a stopped member ends its linked children later, another one does not", () => {
    const call = { ending: { type: "left" } as const, link: true };
    const marks = [BEGUN, { ...DONE, at: 20_000 }];
    expect(broken({ call, marks, faults: [fault("stop", "m1")] })).toEqual([]);
    expect(broken({ call, marks, faults: [fault("stop", "m5")] })).not.toEqual([]);
  });

  test("a killed member loses a child whose caller left", () => {
    const call = { ending: { type: "left" } as const };
    expect(broken({ call, marks: [BEGUN], faults: [fault("kill", "m1")] })).toEqual([]);
    expect(broken({ call, marks: [BEGUN], faults: [fault("cut", "m1")] })).not.toEqual([]);
  });
});
