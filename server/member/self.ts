/** Describes a member as the registry shows it to the others. */
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { SPEC_KEYS } from "../../openapi/schemas/spec.ts";
import manifest from "../../package.json" with { type: "json" };
import type { Member } from "../../sdk/typescript/placement/members.ts";
import type { Settings } from "./check-options.ts";

/** @param address where the member listens. The options may have asked for any free port. */
export function selfOf(
  { host, advertise, name, tls, pools }: Settings,
  { port }: AddressInfo,
  sandbox: Member["sandbox"],
): Member & { readonly boot: string } {
  const machine = hostname()
    .replaceAll(/[^A-Za-z0-9_-]/g, "-")
    .slice(0, 50);
  const authority = advertise ?? `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    name: name ?? `${machine}-${port}`,
    url: `${tls?.certFile === undefined ? "http" : "https"}://${authority}`,
    pools: maxChildrenOf(pools),
    sandbox,
    version: manifest.version,
    specKeys: SPEC_KEYS,
    boot: randomBytes(8).toString("hex"),
    startedAt: new Date().toISOString(),
  };
}

/** The largest number of children by pool. */
export function maxChildrenOf(pools: Settings["pools"]): Member["pools"] {
  return Object.fromEntries([...pools].map(([pool, { maxChildren }]) => [pool, maxChildren]));
}
