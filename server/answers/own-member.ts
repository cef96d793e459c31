/** This member, when it places on itself: it asks its supervisors, not its own port. */
import { PoolError } from "../../openapi/errors.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import type { MemberClient } from "../../sdk/typescript/placement/member-client.ts";
import type { Child } from "../supervisor/child.ts";
import type { Claim } from "../supervisor/supervisor.ts";
import {
  childrenOf,
  supervisorOf,
  type ThisMember,
  tasksOf,
  type VisibleChildren,
} from "../supervisor/this-member.ts";
import { slotEvents } from "./events.ts";

/**
 * The member as one caller asks it. The route has checked that the caller may use the pool, and
 * that the spec is valid.
 *
 * @param caller the name by which the queue takes turns, the uploads of the request, and the
 *   children that it sees.
 */
export function ownMember(
  member: ThisMember,
  { sees, ...caller }: Pick<Claim, "client" | "uploads"> & Pick<VisibleChildren, "sees">,
): MemberClient<Child> {
  return {
    name: member.name,
    load: async (pool) => supervisorOf(member, pool).count(),
    tasks: async (pool) => tasksOf(member, [pool]),
    children: async (pool, filter) => {
      supervisorOf(member, pool);
      return childrenOf(member, [pool], { ...filter, sees });
    },
    async *requestSlot({ pool, waitMs = 0, sandbox }, signal) {
      const waiter = supervisorOf(member, pool).request(waitMs, caller.client, sandbox);
      const leave = () => waiter.leave();
      signal.addEventListener("abort", leave, { once: true });
      if (signal.aborted) leave();
      try {
        yield* slotEvents(waiter);
      } finally {
        signal.removeEventListener("abort", leave);
        leave();
      }
    },
    async admit({ pool, spec, lifetime, slot }) {
      try {
        // The route's schema has filled in the defaults.
        const complete = spec as ChildSpec;
        const claim = { ...caller, slot };
        return await supervisorOf(member, pool).admitWhenFree(complete, lifetime, claim);
      } catch (error) {
        if (error instanceof PoolError) return error;
        throw error;
      }
    },
  };
}
