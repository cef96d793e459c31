/** Tells people about a run: its figures, and each violation with what belongs to it. */
import type { CallRecord, History } from "./history.ts";
import type { Violation } from "./model.ts";
import type { Recorded } from "./run.ts";

/** Violations that are told in full. */
const MOST_TOLD = 5;

function counts(words: readonly string[]): string {
  const sorted = [...Map.groupBy(words, (word) => word)].sort(
    ([, one], [, other]) => other.length - one.length,
  );
  return sorted.map(([word, all]) => `${word} ${all.length}`).join(", ");
}

const wordOf = ({ ending }: CallRecord) =>
  ending === undefined ? "hung" : ending.type === "failed" ? ending.code : ending.type;

/** The figures of a run, one a line. */
export function figuresOf(recorded: Recorded): string[] {
  const { seed, calls, marks, faults, leftOut } = recorded;
  const begun = marks.filter(({ what }) => what === "begun").length;
  return [
    `seed ${seed}: ${calls.length} calls, ${begun} works begun, ${marks.length - begun} done`,
    `endings: ${counts(calls.map(wordOf))}`,
    `ways: ${counts(calls.map(({ way }) => way))}`,
    `kinds: ${counts(calls.map(({ operation, work }) => `${operation}/${work}`))}`,
    `faults: ${counts(faults.map(({ kind }) => kind))}`,
    ...[...leftOut].map(([kind, why]) => `left out: ${kind}: ${why}`),
  ];
}

/** A violation with the marks of its work, and the faults that were near. */
function told({ rule, text, call }: Violation, { marks, faults }: History): string[] {
  if (!call) return [`${rule}: ${text}`];
  const from = call.startedAt - 30_000;
  const until = (call.endedAt ?? Number.POSITIVE_INFINITY) + 30_000;
  const near = faults.filter((fault) => fault.until >= from && fault.from <= until);
  return [
    `${rule}: ${text}`,
    `  call ${JSON.stringify(call)}`,
    ...marks
      .filter(({ workId }) => workId === call.workId)
      .map((mark) => `  mark ${JSON.stringify(mark)}`),
    ...near.map((fault) => `  fault ${JSON.stringify(fault)}`),
  ];
}

/** The violations, their histories, and how to make the run again. */
export function violationsOf(recorded: Recorded, violations: readonly Violation[]): string[] {
  if (violations.length === 0) return [];
  return [
    `${violations.length} violations: ${counts(violations.map(({ rule }) => rule))}`,
    ...violations.slice(0, MOST_TOLD).flatMap((violation) => told(violation, recorded)),
    `schedule: ${JSON.stringify(recorded.schedule)}`,
    `again: DPOOL_SEED=${recorded.seed}`,
  ];
}
