/** How a member registers with Consul: one service, its pools as tags, its facts as meta. */
import { META, SERVICE } from "../../sdk/typescript/placement/consul/consul-service.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";

const TTL = "15s";
/** Consul removes an instance one minute after its check fails; it takes less as one minute too. */
const DEREGISTER_AFTER = "1m";

/** The id of a member's instance of the service, which is unique on its agent. */
export const serviceId = (member: string): string => `${SERVICE}-${member}`;
/** The id of the check that the member passes at each heartbeat. */
export const checkId = (member: string): string => `${serviceId(member)}-ttl`;

/** The facts of a member as Consul's agent takes them. Load is never among them. */
export function registrationOf({ name, url, pools, sandbox, version }: Member) {
  const { protocol, hostname, port } = new URL(url);
  const names = Object.keys(pools);
  return {
    id: serviceId(name),
    name: SERVICE,
    address: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || (protocol === "https:" ? 443 : 80)),
    // Without this tag, Traefik would route requests from outside to every service that it finds.
    tags: [...names, "traefik.enable=false"],
    meta: {
      [META.member]: name,
      [META.version]: version,
      [META.sandbox]: sandbox,
      [META.scheme]: protocol.slice(0, -1),
      ...Object.fromEntries(names.map((pool) => [META.maxChildren(pool), String(pools[pool])])),
    },
    check: {
      checkid: checkId(name),
      name: "heartbeat of the member",
      ttl: TTL,
      status: "passing",
      deregistercriticalserviceafter: DEREGISTER_AFTER,
      // The client's types demand a timeout of every check, although a TTL check has none.
      timeout: TTL,
    },
  };
}
