/** A caller's claim to a slot, and what comes with it. */
import type { SandboxLevel } from "../../openapi/limits.ts";
import type { Trace } from "../tracing/tracing.ts";
import type { Uploads } from "../workspace/uploads.ts";
import type { KeyedStart } from "./once/keyed-starts.ts";
import type { SlotLease } from "./slots/slots.ts";

export interface Claim {
  /**
   * The caller: the name of its token. Without tokens all callers count as one. The queue serves
   * callers in turn.
   */
  readonly client: string;
  /** A slot that the caller was granted; undefined to take a free one. */
  readonly slot?: string | undefined;
  /** Milliseconds for which the caller waited elsewhere for the slot. Default 0. */
  readonly waitedMs?: number | undefined;
  /** The parts that came beside the spec. */
  readonly uploads?: Uploads | undefined;
  /** Is called with the caller's position in the queue, at first and when it changes. */
  readonly onPosition?: ((position: number) => void) | undefined;
  /** Calls `leave` when the caller leaves, which ends the wait. */
  readonly onGone?: ((leave: () => void) => void) | undefined;
  /** The start that the caller's key allows. Default: no key. */
  readonly keyed?: KeyedStart | undefined;
  /** The trace of the request; its span is `admit`. Default: none. */
  readonly trace?: Trace | undefined;
}

/** A slot that a caller's child has taken. */
export type Taken = Pick<Claim, "client" | "trace"> & { readonly lease: SlotLease };

/** How a caller asks for slots. */
export interface SlotWish {
  /** Milliseconds; 0 to be refused at once. */
  readonly waitMs: number;
  /** The weakest sandbox that the caller accepts. Default: any. */
  readonly sandbox?: SandboxLevel | undefined;
}
