/** Asks the other members that Consul lists: do they answer, and what time do they have? */
import { messageOf } from "../../../../openapi/errors.ts";
import type { Client } from "../../../../sdk/typescript/http/client.ts";
import type { Member, RegisteredMember } from "../../../../sdk/typescript/placement/members.ts";
import { type Offset, offsetOf } from "../clock.ts";
import { type Finding, failed, ok, skipped } from "../finding.ts";

const NAME = "members";
/** 20 members are asked at most: a fault of this machine shows at each of them. */
const MAX_ASKED = 20;

interface Asked {
  readonly member: string;
  readonly offset?: Offset | undefined;
  readonly fault?: string;
}

export async function askMembers(
  listed: readonly RegisteredMember[],
  self: Member,
  client: Client,
): Promise<{ readonly finding: Finding; readonly offsets: readonly Offset[] }> {
  const others = listed.filter(({ name, state }) => state === "up" && name !== self.name);
  const asked = await Promise.all(others.slice(0, MAX_ASKED).map((member) => ask(member, client)));
  const offsets = asked.flatMap(({ offset }) => (offset ? [offset] : []));
  return { finding: findingOf(asked), offsets };
}

async function ask({ name, url }: RegisteredMember, client: Client): Promise<Asked> {
  try {
    return {
      member: name,
      offset: await offsetOf(client, { url: `${url}/livez`, of: name, member: name }),
    };
  } catch (error) {
    return { member: name, fault: `${name} at ${url}: ${messageOf(error)}` };
  }
}

function findingOf(asked: readonly Asked[]): Finding {
  if (asked.length === 0) return skipped(NAME, "Consul lists no other member");
  const faults = asked.flatMap(({ fault }) => fault ?? []);
  if (faults.length === 0) return ok(NAME, `${asked.length} others answer`);
  const isTls = faults.some((fault) => /certificate|tls|ssl/i.test(fault));
  return failed(NAME, faults.join("; "), {
    cure: isTls
      ? "name the authority of the others' certificates by --tls-ca; look at a member's own " +
        "certificate: dpool doctor there"
      : "open the port between the machines; --advertise says where a member is reached",
  });
}
