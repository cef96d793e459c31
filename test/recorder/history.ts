/** The history of a run: the calls, the marks at the sink, the faults, and how members rested. */

export const OPERATIONS = ["call", "run", "pipe", "place"] as const;
export type Operation = (typeof OPERATIONS)[number];

/** The client: the SDK with a member as its gateway, the SDK with Consul, or plain HTTP. */
export const WAYS = ["gateway", "direct", "http"] as const;
export type Way = (typeof WAYS)[number];

export const WORKS = ["command", "javascript", "python", "task"] as const;
export type Work = (typeof WORKS)[number];

/** A call as the seed determines it. */
export interface CallPlan {
  /** Unique in the run. The child writes it to the sink. */
  readonly id: string;
  /**
   * The id of the work. Calls with one `Idempotency-Key` share it, because they are one work; each
   * other call has its own id here.
   */
  readonly workId: string;
  /** The call carries its `workId` as its `Idempotency-Key`. */
  readonly isKeyed: boolean;
  /**
   * When a call of a key begins: milliseconds after the one before it has begun, or `in turn`, once
   * all earlier ones have ended. 0 for other calls.
   */
  readonly begins: number | "in turn";
  /** Further tries that the SDK makes. */
  readonly retries: number;
  readonly way: Way;
  readonly operation: Operation;
  readonly work: Work;
  readonly pool: string;
  /** Milliseconds that the child takes. */
  readonly takesMs: number;
  readonly deadlineMs: number;
  readonly waitMs: number;
  readonly link: boolean;
  /** The caller leaves after this many milliseconds; undefined for a caller that stays. */
  readonly leavesAfterMs?: number;
  /** The function throws instead of returning. */
  readonly throws: boolean;
  /** The command ignores TERM. */
  readonly stubborn: boolean;
  /** A number that chooses the member or the server that is asked, of those that there are. */
  readonly target: number;
}

/** What the caller learned. */
export type Ending =
  | { readonly type: "result"; readonly value: string | undefined }
  | {
      readonly type: "failed";
      readonly code: string;
      /** Whether the problem says that a member admitted the child. */
      readonly admitted?: boolean | "unknown";
      /** Whether nothing was run, as the table of codes says. */
      readonly retryable: boolean;
      readonly detail: string;
    }
  /** The connection ended without an ending. */
  | { readonly type: "cut"; readonly detail: string }
  /** The caller left. */
  | { readonly type: "left" }
  /** The client did something that no contract allows, such as throwing another error. */
  | { readonly type: "broken"; readonly detail: string };

export interface CallRecord extends CallPlan {
  readonly client: string;
  /** The member that was asked; undefined for the SDK with Consul. */
  readonly asked?: string | undefined;
  /** Milliseconds of the wall clock, as all times of a history. */
  readonly startedAt: number;
  /** The child, once the caller has learned of it. */
  readonly placed?: { readonly child: string; readonly at: number } | undefined;
  /** Undefined when the call never ended. */
  readonly endedAt?: number | undefined;
  readonly ending?: Ending | undefined;
}

/** A child at the sink. */
export interface Mark {
  readonly workId: string;
  readonly child: string;
  readonly what: "begun" | "done";
  readonly at: number;
}

export const FAULTS = [
  "kill",
  "stop",
  "cut",
  "mute",
  "deaf",
  "apart",
  "leader",
  "empty",
  "full",
  "descriptors",
  "clock",
  "rolling",
  "join",
  "released",
] as const;
export type FaultKind = (typeof FAULTS)[number];

/** A fault as it happened. */
export interface Fault {
  readonly kind: FaultKind;
  /** The members and servers that it hits. */
  readonly hosts: readonly string[];
  readonly from: number;
  readonly until: number;
}

/** The end of a member's process. */
export interface Exit {
  readonly member: string;
  readonly at: number;
  /** False when nobody asked for it. */
  readonly asked: boolean;
  readonly detail: string;
}

/** A process of a member, when no call runs any more. */
export interface Rest {
  readonly member: string;
  /** Children with a slot, waiting callers, and slots that are held. */
  readonly active: number;
  readonly queued: number;
  /** Children's control groups and temporary files of this process, by their names. */
  readonly groups: readonly string[];
  readonly files: readonly string[];
  /** Groups and folders of earlier processes, by their names. */
  readonly remains: readonly string[];
  readonly descriptors: number;
  /** Warm processes that may be there, each with a group and files. */
  readonly warm: number;
  /** Descriptors before the first call. */
  readonly descriptorsAtStart: number;
}

export interface History {
  readonly calls: readonly CallRecord[];
  readonly marks: readonly Mark[];
  readonly faults: readonly Fault[];
  readonly exits: readonly Exit[];
  readonly rest: readonly Rest[];
}
