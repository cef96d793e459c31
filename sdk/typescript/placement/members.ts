/** The members of pools: the seam between placement and the registry that lists them. */
import { PoolError } from "../../../openapi/errors.ts";
import type { SandboxLevel } from "../../../openapi/limits.ts";
import type { PoolMember } from "../../../openapi/types.gen.ts";

/** A server process that belongs to pools. These facts are static; its load is not among them. */
export interface Member {
  readonly name: string;
  /** The URL at which it serves, without a final slash: `http://10.0.0.5:7400`. */
  readonly url: string;
  /** `maxChildren` of each of its pools. */
  readonly pools: Readonly<Record<string, number>>;
  readonly sandbox: SandboxLevel;
  readonly version: string;
  /** The keys of a child spec that it accepts. Default: those of version 0.1.0. */
  readonly specKeys?: readonly string[] | undefined;
  /**
   * 16 hexadecimal digits that name the member's process, so that a request is repeated at no other
   * one. Undefined for a member that does not remember requests.
   */
  readonly boot?: string | undefined;
  /** The time when its process started, in ISO 8601. Undefined at an earlier version. */
  readonly startedAt?: string | undefined;
}

/** The state of a member as its registry knows it: whether it admits, and why it does not. */
export interface MemberStanding {
  readonly state: "up" | "draining" | "sick" | "lost";
  /** For people: the reason for a state other than `up`. */
  readonly detail?: string | undefined;
  /** With `draining`: the time when children that still run are stopped, in ISO 8601. */
  readonly drainEndsAt?: string | undefined;
}

/** A member with its state. */
export interface RegisteredMember extends Member, MemberStanding {}

/** The facts of a member as answers and events show them, without its pools and its load. */
export function factsOf(
  member: RegisteredMember,
): Omit<PoolMember, "load"> & Pick<RegisteredMember, "state"> {
  const { name, url, version, sandbox, startedAt, state, detail, drainEndsAt } = member;
  return {
    member: name,
    ...{ url, version, sandbox, state },
    ...(detail !== undefined && { detail }),
    ...(startedAt !== undefined && { startedAt }),
    ...(drainEndsAt !== undefined && { drainEndsAt }),
  };
}

/** A watched list of members. It answers from memory; only the first answer may take time. */
export interface Members {
  /** The members of a pool that may admit children; none for a pool without members. */
  in(pool: string): Promise<readonly Member[]>;
  /** The members of all pools that may admit children. */
  all(): Promise<readonly Member[]>;
  /** The members of all pools, also while they drain or are lost, until the registry drops them. */
  registered(): Promise<readonly RegisteredMember[]>;
  /** Whether this program may ask the member. Default: it may ask all. */
  trusts?(member: Member): boolean;
  /** The member of this name, also while it drains, because its children are still there. */
  find(name: string): Promise<Member | undefined>;
  /**
   * Asks why the registry does not show its whole list to this program. Undefined where it does,
   * where it is away, and for a registry that cannot refuse. Never rejects.
   */
  refusal?(): Promise<PoolError | undefined>;
  /** Stops watching. */
  close(): void;
}

/** A refusal names at most 20 pools. */
const MAX_NAMES = 20;

/** Names of pools for a message. */
export function listed(pools: Iterable<string>): string {
  const names = [...new Set(pools)].sort();
  const rest = names.length - MAX_NAMES;
  const shown = names.slice(0, MAX_NAMES).join(", ") || "none";
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}

/**
 * The error for a pool in which no member may admit children: `pool_not_found` when nobody has
 * registered it; `no_members_available` when its members drain, are lost, or are not trusted. The
 * registry's refusal, if there is one, because its list may be incomplete.
 */
export async function nobodyIn(pool: string, members: Members): Promise<PoolError> {
  const registered = await members.registered();
  const refusal = await members.refusal?.();
  if (refusal) return refusal;
  const count = registered.filter(({ pools }) => Object.hasOwn(pools, pool)).length;
  if (count > 0)
    return PoolError.of(
      "no_members_available",
      `pool ${pool}: none of its ${count} members is ready; ` +
        "they start, drain, are lost or not trusted",
    );
  const pools = listed(registered.flatMap((member) => Object.keys(member.pools)));
  return PoolError.of("pool_not_found", `no member serves pool ${pool}; the pools are: ${pools}`);
}
