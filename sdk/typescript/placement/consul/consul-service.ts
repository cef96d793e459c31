/** A member as Consul shows it: the service's name, the keys of its meta, and how both are read. */
import { SandboxLevelSchema } from "../../../../openapi/limits.ts";
import { PoolNameSchema } from "../../../../openapi/names.ts";
import type { Member } from "../members.ts";

/** The name of the service that every member is an instance of. */
export const SERVICE = "distributed-pool";

/** Keys of the service's meta. Consul allows letters, digits, `_` and `-` in a key. */
export const META = {
  member: "member",
  version: "version",
  sandbox: "sandbox",
  scheme: "scheme",
  maxChildren: (pool: string) => `maxChildren-${pool}`,
} as const;
const MAX_CHILDREN_PREFIX = META.maxChildren("");

/** An entry of Consul's health list. */
export interface HealthEntry {
  readonly Node: { readonly Address: string };
  readonly Service: {
    readonly ID: string;
    readonly Address: string;
    readonly Port: number;
    readonly Meta: Record<string, string> | null;
  };
  readonly Checks: readonly { readonly Status: string }[];
}

/**
 * A member, and whether its checks pass. They fail while it drains, which is Consul's maintenance,
 * and once it is lost.
 */
export interface RegisteredMember extends Member {
  readonly passing: boolean;
}

/** The member that an entry describes; undefined for an entry of another program. */
export function memberOf({ Node, Service, Checks }: HealthEntry): RegisteredMember | undefined {
  const meta = Service.Meta ?? {};
  const name = meta[META.member];
  if (name === undefined || !Service.Port) return undefined;
  const pools: Record<string, number> = {};
  for (const [key, value] of Object.entries(meta)) {
    const pool = key.startsWith(MAX_CHILDREN_PREFIX) ? key.slice(MAX_CHILDREN_PREFIX.length) : "";
    if (PoolNameSchema.safeParse(pool).success) pools[pool] = Number(value);
  }
  const scheme = meta[META.scheme] === "https" ? "https" : "http";
  const address = Service.Address || Node.Address;
  const host = address.includes(":") ? `[${address}]` : address;
  return {
    name,
    url: `${scheme}://${host}:${Service.Port}`,
    pools,
    sandbox: SandboxLevelSchema.safeParse(meta[META.sandbox]).data ?? "none",
    version: meta[META.version] ?? "unknown",
    passing: Checks.every(({ Status }) => Status === "passing"),
  };
}
