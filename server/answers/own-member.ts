/**
 * This member, when it places a child on itself as the gateway: it asks its supervisors, not its
 * own port.
 */
import { PoolError } from "../../openapi/errors.ts";
import type { SlotEvent } from "../../openapi/events.ts";
import type { ChildSpec } from "../../openapi/spec.ts";
import type { ChildFilter } from "../../sdk/typescript/placement/access.ts";
import type {
  AdmissionRequest,
  MemberClient,
  SlotRequest,
} from "../../sdk/typescript/placement/member-client.ts";
import type { Child } from "../supervisor/child.ts";
import { childrenOf, supervisorOf, type ThisMember, tasksOf } from "../supervisor/this-member.ts";
import type { Uploads } from "../workspace/uploads.ts";
import { slotEvents } from "./events.ts";

/** Whose request it is, and what came beside its spec. */
export interface Caller {
  /** The caller's name: the queue serves callers in turn. */
  readonly client: string;
  readonly uploads: Uploads | undefined;
}

/** The route has checked by then that the caller may use the pool, and that the spec is valid. */
export class SupervisedMember implements MemberClient<Child> {
  readonly #member: ThisMember;
  readonly #caller: Caller;

  constructor(member: ThisMember, caller: Caller) {
    this.#member = member;
    this.#caller = caller;
  }

  get name() {
    return this.#member.name;
  }

  async load(pool: string) {
    return supervisorOf(this.#member, pool).count();
  }

  async tasks(pool: string) {
    return tasksOf(this.#member, [pool]);
  }

  async children(pool: string, filter: ChildFilter) {
    return childrenOf(this.#member, [pool], filter);
  }

  async *requestSlot(
    { pool, waitMs = 0, sandbox }: SlotRequest,
    signal: AbortSignal,
  ): AsyncGenerator<SlotEvent, void, undefined> {
    const waiter = supervisorOf(this.#member, pool).request(waitMs, this.#caller.client, sandbox);
    const leave = () => waiter.leave();
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      yield* slotEvents(waiter);
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
    }
  }

  async admit({ pool, spec, lifetime, slot }: AdmissionRequest): Promise<Child | PoolError> {
    try {
      // The route's schema has filled in the defaults.
      return await supervisorOf(this.#member, pool).admitWhenFree(spec as ChildSpec, lifetime, {
        ...this.#caller,
        slot,
      });
    } catch (error) {
      if (error instanceof PoolError) return error;
      throw error;
    }
  }
}
