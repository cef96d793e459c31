/** A member as Consul shows it: the service's name, and its meta as it is written and read. */
import { SANDBOX_LEVELS } from "../../../../openapi/limits.ts";
import { NAME } from "../../../../openapi/names.ts";
import type { Member, RegisteredMember } from "../../placement/members.ts";
import { type Check, standingOf } from "./consul-standing.ts";

/** The name of the service that every member is an instance of. */
export const SERVICE = "distributed-pool";

/**
 * Consul allows 64 pairs. A member of 59 pools has no room to say when it started, and one of 60
 * none to say which spec keys it accepts.
 */
const MAX_PAIRS = 64;
/** Begins the key of the meta that holds `maxChildren` of a pool. */
const MAX_CHILDREN = "maxChildren-";

/**
 * The facts of a member as the meta of its service, which {@link memberOf} reads. Consul allows
 * letters, digits, `_` and `-` in a key.
 */
export function metaOf({
  name,
  url,
  pools,
  sandbox,
  version,
  specKeys,
  boot,
  startedAt,
}: Member): Record<string, string> {
  const scheme = new URL(url).protocol.slice(0, -1);
  const maxChildren = Object.entries(pools).map(([pool, max]) => [MAX_CHILDREN + pool, `${max}`]);
  const meta: Record<string, string> = {
    member: name,
    version,
    sandbox,
    scheme,
    ...(boot !== undefined && { boot }),
    ...Object.fromEntries(maxChildren),
  };
  const more = { spec: specKeys?.join(" "), started: startedAt };
  for (const [key, value] of Object.entries(more))
    if (value !== undefined && Object.keys(meta).length < MAX_PAIRS) meta[key] = value;
  return meta;
}

/** An entry of Consul's health list. */
export interface HealthEntry {
  readonly Node: { readonly Address: string };
  readonly Service: {
    readonly Address: string;
    readonly Port: number;
    readonly Meta: Record<string, string> | null;
  };
  readonly Checks: readonly Check[];
}

/** The member that an entry describes; undefined for an entry of another program. */
export function memberOf({ Node, Service, Checks }: HealthEntry): RegisteredMember | undefined {
  const meta = Service.Meta ?? {};
  const name = meta.member;
  if (name === undefined || !Service.Port) return undefined;
  const pools: Record<string, number> = {};
  for (const [key, value] of Object.entries(meta)) {
    const pool = key.startsWith(MAX_CHILDREN) ? key.slice(MAX_CHILDREN.length) : "";
    if (NAME.test(pool)) pools[pool] = Number(value);
  }
  const scheme = meta.scheme === "https" ? "https" : "http";
  const address = Service.Address || Node.Address;
  const host = address.includes(":") ? `[${address}]` : address;
  return {
    name,
    url: `${scheme}://${host}:${Service.Port}`,
    pools,
    sandbox: SANDBOX_LEVELS.find((level) => level === meta.sandbox) ?? "none",
    version: meta.version ?? "unknown",
    ...(meta.spec !== undefined && { specKeys: meta.spec.split(" ") }),
    boot: meta.boot,
    startedAt: meta.started,
    ...standingOf(Checks),
  };
}
