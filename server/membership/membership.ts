/** The seam of membership: nothing but the implementations knows which registry a member joins. */
import { PoolError } from "../../openapi/errors.ts";
import type { Member, Members } from "../../sdk/typescript/placement/members.ts";
import type { Keys } from "./keys.ts";

export interface Membership extends Members {
  /**
   * Registers this member and keeps it registered. Retries until the other members can see it, and
   * resolves then; stays pending when the member leaves before.
   *
   * @throws {PoolError} `invalid_request` when another live member has the name.
   */
  join(self: Member): Promise<void>;
  /**
   * Publishes changed facts of this member, which keeps its name. Before `join`, the join publishes
   * them. Retries until the registry has them; never rejects.
   */
  update(self: Member): void;
  /**
   * Tells the other members to send no more children here, and resolves when they know. They still
   * find this member's children. Never rejects.
   *
   * @param endsAt the time when children that still run are stopped, in ISO 8601.
   */
  drain(endsAt: string): Promise<void>;
  /**
   * Tells the other members to send no children here for this reason, or, with undefined, that they
   * may again. They still find this member's children. Retries until the registry has it.
   */
  sick(reason: string | undefined): void;
  /** Leaves at once. The list can still be read until `close()`. Never rejects. */
  leave(): Promise<void>;
  /**
   * Is called after each heartbeat that the registry took, with the time at which it was sent, of
   * `performance.now()`. An embedded registry, which cannot be lost, does not call it.
   */
  onPassed: ((atMs: number) => void) | undefined;
  /** The idempotency keys of all members. */
  readonly keys: Keys;
  /** Why this member is not in its pools; undefined once it joined, even while Consul is away. */
  readonly trouble: string | undefined;
  /** Whether the registry took the last heartbeat. */
  isReachable(): boolean;
}

/** The error of a member whose name another one has. */
export function nameTaken({ name, url }: Member, other: { readonly url: string }): PoolError {
  return PoolError.of(
    "invalid_request",
    `expected a member name that no other member has; ${name} is the member at ${other.url}, ` +
      `and this one is at ${url}`,
  );
}
