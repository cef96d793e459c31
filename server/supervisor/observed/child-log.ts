/** Tells of the start and the end of each child, for a log. */
import type { ChildInfo } from "../../../openapi/schemas/state/children.ts";
import type { ChildObserver, ObservedChild } from "./observer.ts";

/** The start or the end of a child, without its input, its output and its tokens. */
export interface ChildEvent {
  readonly what: "started" | "ended";
  readonly id: string;
  readonly pool: string;
  /** The name of the caller that placed the child. */
  readonly caller: string;
  readonly kind: ChildInfo["kind"];
  /** At the start: milliseconds from the request for the slot to the slot. Otherwise its run. */
  readonly ms: number;
  /** At the end: the code of the problem; null without one. */
  readonly code?: string | null;
  /** At the end: the exit code of a command; null without one. */
  readonly exitCode?: number | null;
  /** At the start of a command: its arguments, cut to a bound. They may hold secrets. */
  readonly command?: readonly string[] | undefined;
}

export type ChildLog = (event: ChildEvent) => void;

/** An observer that tells a log. */
export function childLogger(log: ChildLog): ChildObserver {
  const factsOf = ({ id, pool, owner: caller, kind }: ChildInfo) => ({ id, pool, caller, kind });
  return {
    placed: ({ info }: ObservedChild, waitedMs) =>
      log({ what: "started", ...factsOf(info), ms: Math.round(waitedMs), command: info.command }),
    ended: ({ info }) =>
      log({
        what: "ended",
        ...factsOf(info),
        ms: Math.round(info.usage?.wallMs ?? 0),
        code: info.code,
        exitCode: info.exitCode,
      }),
  };
}
