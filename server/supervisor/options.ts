/** The options of a supervisor and of a child. */

import type { ChildInfo, ChildReference } from "../../openapi/schemas/resources.ts";
import type { HeldBytes } from "../http/bodies/held-bytes.ts";
import type { CheckedSpec, PoolRules } from "./check-spec.ts";
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
  "pool" | "member" | "url" | "sandbox" | "folder" | "heldBytes" | "notifier" | "shares"
>;

export interface ChildOptions extends Omit<CheckedSpec, "lifetime" | "rules"> {
  readonly reference: ChildReference;
  /** The caller that asked for the child. */
  readonly client: string;
  readonly rules: Pick<PoolRules, "sandbox" | "fetchRules" | "fence">;
  /** A folder private to the server, for bytes on their way into the child and out of it. */
  readonly folder: string;
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number;
  /** The account of the memory that callers hold. */
  readonly heldBytes: HeldBytes;
}

/** A child as it is shown when it has got its slot. */
export function infoAtStart({
  spec,
  reference,
  client,
  rules,
  deadlineMs,
}: Pick<ChildOptions, "spec" | "reference" | "client" | "rules" | "deadlineMs">): ChildInfo {
  const startedMs = Date.now();
  return {
    ...reference,
    owner: client,
    status: "running",
    kind: spec.command ? "command" : spec.task ? "task" : "function",
    startedAt: new Date(startedMs).toISOString(),
    deadlineAt: deadlineMs === undefined ? null : new Date(startedMs + deadlineMs).toISOString(),
    endedAt: null,
    exitCode: null,
    code: null,
    labels: spec.labels ?? {},
    sandbox: rules.sandbox.level,
  };
}
