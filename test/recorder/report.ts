/** Tells people about a run: its figures, and each violation with what belongs to it. */
import type { CallRecord, History } from "./history.ts";
import { fencedChildren } from "./rules/fence.ts";
import type { Violation } from "./rules/work.ts";
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

const saidOf = ({ ending }: CallRecord) =>
  ending?.type === "failed" && ending.admitted !== undefined ? [`admitted ${ending.admitted}`] : [];

/** How many calls had keys, and what became of them. */
function keysOf({ calls, faults }: History): string {
  const keyed = calls.filter(({ isKeyed }) => isKeyed);
  const keys = [...Map.groupBy(keyed, ({ workId }) => workId).values()];
  const answered = (same: readonly CallRecord[]) =>
    same.filter(({ ending }) => ending?.type === "result").length;
  const again = keys.filter((same) => answered(same) > 1).length;
  const changes = faults.filter(({ kind }) => kind === "leader");
  const near = keyed.filter(({ startedAt, endedAt = startedAt }) =>
    changes.some(({ from, until }) => from <= endedAt && until >= startedAt),
  );
  return (
    `keys: ${keys.length} of ${keyed.length} calls; ${again} answered more than once; ` +
    `${near.length} calls while Consul changed its leader: ${counts(near.map(wordOf))}`
  );
}

/** The figures of a run, one a line. */
export function figuresOf(recorded: Recorded): string[] {
  const { seed, calls, marks, faults, leftOut } = recorded;
  const begun = marks.filter(({ what }) => what === "begun").length;
  return [
    `seed ${seed}: ${calls.length} calls, ${begun} works begun, ${marks.length - begun} done`,
    `endings: ${counts(calls.map(wordOf))}`,
    keysOf(recorded),
    `fences: ${fencedChildren(recorded)} children would have run on behind them`,
    `said of failures: ${counts(calls.flatMap(saidOf))}`,
    `ways: ${counts(calls.map(({ way }) => way))}`,
    `kinds: ${counts(calls.map(({ operation, work }) => `${operation}/${work}`))}`,
    `faults: ${counts(faults.map(({ kind }) => kind))}`,
    ...[...leftOut].map(([kind, why]) => `left out: ${kind}: ${why}`),
  ];
}

/** A violation with the calls and marks of its work, and the faults that were near. */
function told({ rule, text, call }: Violation, { calls, marks, faults }: History): string[] {
  if (!call) return [`${rule}: ${text}`];
  const from = call.startedAt - 30_000;
  const until = (call.endedAt ?? Number.POSITIVE_INFINITY) + 30_000;
  const near = faults.filter((fault) => fault.until >= from && fault.from <= until);
  return [
    `${rule}: ${text}`,
    ...calls
      .filter(({ workId }) => workId === call.workId)
      .map((same) => `  call ${JSON.stringify(same)}`),
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
