/** The member that places runs in this very process: it is asked by calls, without a connection. */
import type { z } from "@hono/zod-openapi";
import type { Load, PoolError } from "../../../openapi/errors.ts";
import type { SlotEvent } from "../../../openapi/events.ts";
import type { ChildInfo, Tasks } from "../../../openapi/resources.ts";
import type { ChildSpecInput, SlotRequestSchema } from "../../../openapi/spec.ts";
import type { ChildFilter } from "./access.ts";

export type SlotRequest = z.input<typeof SlotRequestSchema>;

/** A child that this process runs itself. */
export interface OwnChild {
  readonly info: ChildInfo;
}

/** One try to be admitted. */
export interface OwnAdmission {
  readonly pool: string;
  /** With what remains of its deadline, and without a wait. */
  readonly spec: ChildSpecInput;
  readonly lifetime: "call" | "placed";
  /** A slot that the member granted; undefined to take a free one. */
  readonly slot: string | undefined;
}

/** The answers of a member to one caller. Each method does the same as its request over HTTP. */
export interface OwnMember<Child extends OwnChild> {
  readonly name: string;
  /** @throws {PoolError} `pool_not_found`. */
  load(pool: string): Load;
  /** @throws {PoolError} `pool_not_found`. */
  tasks(pool: string): Tasks;
  children(pool: string, filter: ChildFilter): readonly ChildInfo[];
  /** Waits in the member's queue, and holds the slot that it grants, until the signal aborts. */
  requestSlot(request: SlotRequest, signal: AbortSignal): AsyncIterable<SlotEvent>;
  /** Admits a child at once. Resolves with the problem where the member refuses. */
  admit(admission: OwnAdmission): Promise<Child | PoolError>;
}
