/** A member as Consul's agent takes it: one service with one check. Pure. */
import { metaOf, SERVICE } from "../../sdk/typescript/node/consul/consul-service.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";

const TTL = "15s";
/** Consul removes an instance one minute after its check fails; it takes less as one minute too. */
const DEREGISTER_AFTER = "1m";

/** The id of a member's instance of the service, which is unique on its agent. */
export const serviceId = (member: string) => `${SERVICE}-${member}`;
/** The id of the check that the member passes at each heartbeat. */
export const checkId = (member: string) => `${serviceId(member)}-ttl`;

/**
 * The facts of a member as Consul's agent takes them. Load is never among them.
 *
 * @param publicUrl the origin at which people reach the members. Default: the member's own URL.
 */
export function registrationOf(member: Member, publicUrl = member.url) {
  const { protocol, hostname, port } = new URL(member.url);
  return {
    id: serviceId(member.name),
    name: SERVICE,
    address: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || (protocol === "https:" ? 443 : 80)),
    tags: Object.keys(member.pools),
    meta: metaOf(member),
    check: {
      checkid: checkId(member.name),
      name: "heartbeat of the member",
      // Consul's own page shows the notes beside the check.
      notes: `dashboard: ${publicUrl}/`,
      ttl: TTL,
      status: "passing",
      deregistercriticalserviceafter: DEREGISTER_AFTER,
      // The client's types demand a timeout of every check, although a TTL check has none.
      timeout: TTL,
    },
  };
}
