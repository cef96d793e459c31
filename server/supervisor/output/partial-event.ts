/** Parts of a terminal event, for readers that take a bounded number of bytes. Pure. */
import { shortened } from "../../../openapi/errors.ts";
import type { TerminalEvent } from "../../../openapi/events.ts";

/** 4,096 characters are left of a detail, where the rest of a problem is too long. */
const MAX_DETAIL = 4_096;

/** Ever smaller parts of a terminal event, each with `partial: true`. */
export function partsOf(event: TerminalEvent): TerminalEvent[] {
  const { value: _, ...left } = event;
  const withoutValue = { ...left, partial: true };
  const withoutList = { ...withoutValue, artifacts: [] };
  if (withoutList.type !== "failed") return [withoutValue, withoutList];
  const { error: _error, fields: _fields, ...problem } = withoutList.problem;
  const brief = { ...problem, detail: shortened(problem.detail, MAX_DETAIL) };
  return [withoutValue, withoutList, { ...withoutList, problem: brief }];
}
