/**
 * What the product promises of a history, as rules. `check` is a pure function: it needs no clock
 * and no process, so unit tests can show that each rule fails when it should.
 */
import type { History } from "./history.ts";
import { checkCalls } from "./rules/calls.ts";
import { checkFence } from "./rules/fence.ts";
import { checkKeys } from "./rules/keys.ts";
import { checkMembers, checkOrphans } from "./rules/members.ts";
import type { Violation } from "./rules/work.ts";

/** A mark that no call made belongs to somebody else, or the history has a hole. */
function checkMarks({ calls, marks }: History): Violation[] {
  const known = new Set(calls.map(({ workId }) => workId));
  return marks
    .filter(({ workId }) => !known.has(workId))
    .map(({ workId }) => ({ rule: "only what was called runs", text: `mark of ${workId}` }));
}

/** All violations of the promises, in no order. Empty for a history that keeps them. */
export function check(history: History): Violation[] {
  return [
    ...checkCalls(history),
    ...checkKeys(history),
    ...checkMarks(history),
    ...checkFence(history),
    ...checkOrphans(history),
    ...checkMembers(history),
  ];
}
