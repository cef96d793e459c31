/** What the calls of one key are promised together. */
import type { CallRecord, Ending, History, Mark } from "../history.ts";
import { brokenBy, CLOCK_MS, ENDED, type Rule, saysNeverRan, type Violation } from "./work.ts";

/** The calls of one key, in the order of their time, and what they have started. */
interface Keyed {
  readonly calls: readonly CallRecord[];
  /** The beginnings at the sink, in the order of their time. */
  readonly begun: readonly Mark[];
  /** How often Consul lost its data meanwhile: then the key starts another child. */
  readonly losses: number;
}

/** The ending of the child; undefined where the call could not tell it. */
function certain(ending: Ending | undefined): string | undefined {
  if (ending?.type === "result") return `result ${ending.value}`;
  return ending?.type === "failed" && ENDED.has(ending.code) ? ending.code : undefined;
}

const RULES: Readonly<Record<string, Rule<[Keyed]>>> = {
  "a key starts one child": ({ begun, losses }) =>
    begun.length > 1 + losses || new Set(begun.map(({ child }) => child)).size < begun.length
      ? `begun by ${begun.map(({ child }) => child).join(" and ")}`
      : undefined,

  "all answers of a key name one child": ({ calls, losses }) => {
    // A child that could not be started is named too, and its key is free for another.
    const other = calls.filter(({ ending }) => !saysNeverRan(ending));
    const named = new Set(other.flatMap(({ placed }) => (placed ? [placed.child] : [])));
    return named.size > 1 + losses ? `named: ${[...named].join(" and ")}` : undefined;
  },

  "all answers of a key have one ending": ({ calls }) => {
    const known = calls.filter(({ placed }) => placed);
    for (const [child, same] of Map.groupBy(known, ({ placed }) => placed?.child)) {
      const endings = new Set(same.map(({ ending }) => certain(ending)));
      endings.delete(undefined);
      if (endings.size > 1) return `${child} ended by ${[...endings].join(" and ")}`;
    }
    return undefined;
  },

  "a key that was refused starts nothing": ({ calls, begun }) => {
    const admitted = calls.filter(({ ending }) => !saysNeverRan(ending));
    const unexplained = begun.find(
      ({ at }, index) =>
        admitted.filter(({ startedAt }) => startedAt <= at + CLOCK_MS).length <= index,
    );
    return unexplained && `begun by ${unexplained.child}, and every call until then was refused`;
  },

  "a key keeps its spec": ({ calls }) => {
    const refused = calls.find(
      ({ ending }) => ending?.type === "failed" && ending.code === "idempotency_conflict",
    );
    return refused && `${refused.id} has the same spec`;
  },
};

export function checkKeys({ calls, marks, faults }: History): Violation[] {
  const begun = Map.groupBy(
    marks.filter(({ what }) => what === "begun"),
    ({ workId }) => workId,
  );
  const keyed = Map.groupBy(
    calls.filter(({ isKeyed }) => isKeyed),
    ({ workId }) => workId,
  );
  return [...keyed].flatMap(([key, unsorted]) => {
    const inTime = unsorted.toSorted((one, other) => one.startedAt - other.startedAt);
    const [first] = inTime as [CallRecord];
    const children = (begun.get(key) ?? []).toSorted((one, other) => one.at - other.at);
    // A request that was cut may arrive after its caller has given it up.
    const ends = inTime.map(({ endedAt = Number.POSITIVE_INFINITY }) => endedAt);
    const last = Math.max(...ends, ...children.map(({ at }) => at));
    const losses = faults.filter(
      ({ kind, from, until }) => kind === "empty" && from <= last && until >= first.startedAt,
    ).length;
    return brokenBy(RULES, [{ calls: inTime, begun: children, losses }], first);
  });
}
