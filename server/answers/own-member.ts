/** This member, when it places on itself: it asks its supervisors, not its own port. */
import { PoolError } from "../../openapi/errors.ts";
import { LOAD_HEADER, loadText } from "../../openapi/load-header.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import type { MemberClient } from "../../sdk/typescript/placement/member-client.ts";
import type { NodeContext } from "../http/request.ts";
import type { Child } from "../supervisor/child.ts";
import type { Claim } from "../supervisor/claim.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import {
  childrenOf,
  supervisorOf,
  type ThisMember,
  tasksOf,
  type VisibleChildren,
} from "../supervisor/this-member.ts";

/** Tells the load of now in the head of an answer that has not been sent. */
export function tellLoad({ env: { outgoing } }: NodeContext, supervisor: Supervisor): void {
  if (outgoing && !outgoing.headersSent)
    outgoing.setHeader(LOAD_HEADER, loadText(supervisor.count()));
}

/**
 * The member as one caller asks it. The route has checked that the caller may use the pool, and
 * that the spec is valid.
 *
 * @param caller the name by which the queue takes turns, the uploads of the request, the start that
 *   its key allows, and the children that it sees.
 */
export function ownMember(
  member: ThisMember,
  {
    sees,
    show,
    ...caller
  }: Pick<Claim, "client" | "uploads" | "keyed"> & Pick<VisibleChildren, "sees" | "show">,
): MemberClient<Child> {
  return {
    name: member.name,
    load: async (pool) => supervisorOf(member, pool).count(),
    loadNow: (pool) => member.supervisors.get(pool)?.count(),
    tasks: async (pool) => tasksOf(member, [pool]),
    children: async (pool, filter) => {
      supervisorOf(member, pool);
      return childrenOf(member, [pool], { ...filter, sees, show });
    },
    async requestSlots({ pool, waitMs = 0, sandbox, count }, signal) {
      const { client } = caller;
      const supervisor = supervisorOf(member, pool);
      const subscription = supervisor.subscribe(client, count, { waitMs, sandbox });
      signal.addEventListener("abort", () => subscription.close(), { once: true });
      if (signal.aborted) subscription.close();
      return {
        events: subscription.events(),
        change: async (changed) => supervisor.slots.resubscribe(subscription.id, client, changed),
      };
    },
    releaseSlot: async (pool, slot) =>
      supervisorOf(member, pool).slots.release(slot, caller.client),
    async admit({ pool, spec, lifetime, slot, waitedMs }) {
      try {
        // The route's schema has filled in the defaults.
        const complete = spec as ChildSpec;
        const claim = { ...caller, slot, waitedMs };
        return await supervisorOf(member, pool).admitWhenFree(complete, lifetime, claim);
      } catch (error) {
        if (error instanceof PoolError) return error;
        throw error;
      }
    },
  };
}
