/** The options of a supervisor and of a child. */

import type { TerminalEvent } from "../../openapi/events.ts";
import type { ChildReference } from "../../openapi/schemas/resources.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import type { TraceContext } from "../../sdk/typescript/trace/trace-context.ts";
import type { HeldBytes } from "../http/bodies/held-bytes.ts";
import type { CheckedSpec, PoolRules } from "./check-spec.ts";
import { shownWork } from "./observed/shown-work.ts";
import type { SlotShares } from "./slots/shares.ts";

export interface SupervisorOptions extends PoolRules {
  /** The URL of this member for callers, without a final slash. */
  readonly url: string;
  readonly maxChildren: number;
  /** Callers that may wait for a slot at a time. */
  readonly maxQueue: number;
  /** The shares of the callers. Default: a caller may take all slots. */
  readonly shares?: SlotShares | undefined;
  /** A folder private to the server, for bytes on their way into children and out of them. */
  readonly folder: string;
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number;
  /** Milliseconds for which children that have ended are remembered. */
  readonly rememberMs: number;
  /** The account of the memory that callers hold. */
  readonly heldBytes: HeldBytes;
}

/** The options that a reload may change. */
export type ChangeableOptions = Omit<
  SupervisorOptions,
  | "pool"
  | "member"
  | "url"
  | "sandbox"
  | "folder"
  | "heldBytes"
  | "notifier"
  | "shares"
  | "observer"
>;

export interface ChildOptions extends Omit<CheckedSpec, "lifetime" | "rules"> {
  readonly reference: ChildReference;
  /** The caller that asked for the child. */
  readonly client: string;
  /** The span that the child's own spans join. Default: none. */
  readonly trace?: TraceContext | undefined;
  readonly rules: Pick<PoolRules, "sandbox" | "fetchRules" | "fence" | "observer">;
  /** A folder private to the server, for bytes on their way into the child and out of it. */
  readonly folder: string;
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number;
  /** The account of the memory that callers hold. */
  readonly heldBytes: HeldBytes;
}

/** The state of a child. Its times are milliseconds since the epoch. */
export interface ChildState
  extends Omit<ChildInfo, "startedAt" | "deadlineAt" | "endedAt" | keyof ChildReference> {
  readonly startedAt: number;
  readonly deadlineAt: number | null;
  readonly endedAt: number | null;
}

/** The kind of the work of a spec. */
export function kindOf({ command, task }: Pick<ChildSpec, "command" | "task">): ChildInfo["kind"] {
  if (command) return "command";
  return task ? "task" : "function";
}

/** The state of a child when it has got its slot. */
export function stateAtStart({
  spec,
  client,
  rules,
  deadlineMs,
}: Pick<ChildOptions, "spec" | "client" | "rules" | "deadlineMs">): ChildState {
  const startedAt = Date.now();
  return {
    owner: client,
    status: "running",
    kind: kindOf(spec),
    startedAt,
    deadlineAt: deadlineMs === undefined ? null : Math.trunc(startedAt + deadlineMs),
    endedAt: null,
    exitCode: null,
    code: null,
    labels: spec.labels ?? {},
    sandbox: rules.sandbox.level,
    ...shownWork(spec),
  };
}

/** The state of a child whose process is gone. */
export function stateAtEnd(state: ChildState, endedAt: number, terminal: TerminalEvent) {
  return {
    ...state,
    status: "ended" as const,
    endedAt,
    exitCode: terminal.exitCode ?? null,
    code: terminal.type === "failed" ? terminal.problem.code : null,
    usage: terminal.usage,
  };
}

const timeOf = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

/** A child as it is shown. */
export const infoOf = (reference: ChildReference, state: ChildState): ChildInfo => ({
  ...reference,
  ...state,
  startedAt: new Date(state.startedAt).toISOString(),
  deadlineAt: timeOf(state.deadlineAt),
  endedAt: timeOf(state.endedAt),
});
