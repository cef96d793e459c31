/** Describes a member as the registry shows it to the others. */
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import type { Member } from "../../sdk/typescript/placement/members.ts";
import type { CheckedPool } from "./check-options.ts";
import type { Settings } from "./settings.ts";
import { VERSION } from "./version.ts";

/** @param address where the member listens. The options may have asked for any free port. */
export function selfOf(
  { host, advertise, name, tls }: Settings,
  address: AddressInfo,
  facts: Pick<Member, "pools" | "sandbox">,
): Member {
  const { port } = address;
  const machine = hostname()
    .replaceAll(/[^A-Za-z0-9_-]/g, "-")
    .slice(0, 50);
  const authority = advertise ?? `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    name: name ?? `${machine}-${port}`,
    url: `${tls?.certFile === undefined ? "http" : "https"}://${authority}`,
    ...facts,
    version: VERSION,
  };
}

/** The largest number of children by pool. */
export function maxChildrenOf(pools: ReadonlyMap<string, CheckedPool>): Member["pools"] {
  return Object.fromEntries([...pools].map(([pool, { maxChildren }]) => [pool, maxChildren]));
}
