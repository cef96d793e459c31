/** Checks the Consul agent: answers, leader, rights of the token, the service and its heartbeat. */
import { messageOf } from "../../../../openapi/errors.ts";
import { Client } from "../../../../sdk/typescript/http/client.ts";
import {
  type ConsulClient,
  consulClient,
} from "../../../../sdk/typescript/node/consul/consul-client.ts";
import {
  addressOf,
  type ConsulOptions,
} from "../../../../sdk/typescript/node/consul/consul-options.ts";
import {
  type HealthEntry,
  memberOf,
  SERVICE,
} from "../../../../sdk/typescript/node/consul/consul-service.ts";
import { NodeTransport } from "../../../../sdk/typescript/node/transport.ts";
import type { Member, RegisteredMember } from "../../../../sdk/typescript/placement/members.ts";
import { missingRights } from "../../../membership/consul-access.ts";
import { checkId, serviceId } from "../../../membership/consul-registration.ts";
import { type Offset, offsetOf } from "../clock.ts";
import { type Finding, failed, ok, skipped, warning } from "../finding.ts";

/** 5 seconds for each request: an option that the types of the client leave out. */
const timeout = { timeout: 5_000 } as object;

/** The findings about Consul, and what Consul told. */
export interface ConsulFound {
  readonly findings: readonly Finding[];
  /** The members that Consul lists; none where it cannot be asked. */
  readonly members: readonly RegisteredMember[];
  readonly offsets: readonly Offset[];
}

/** @param isNamed false where nothing tells of `dpool serve`: `dpool dev` needs no Consul. */
export async function checkConsul(
  options: ConsulOptions,
  self: Member,
  isNamed: boolean,
): Promise<ConsulFound> {
  const names = ["consul", "consul rights", "consul service"] as const;
  const stop = (first: Finding): ConsulFound => ({
    findings: [first, ...names.slice(1).map((name) => skipped(name, "needs consul"))],
    members: [],
    offsets: [],
  });
  const at = `Consul at ${options.address}`;
  try {
    const consul = consulClient(options);
    const leader = await consul.status.leader(timeout);
    if (!leader)
      return stop(
        failed("consul", `${at} has no leader`, {
          cure: "let a majority of Consul's servers run and reach each other: consul members",
        }),
      );
    const first = ok("consul", `${at} has a leader`);
    const [rights, service, offset] = await Promise.all([
      rightsFindings(consul, options),
      serviceFound(consul, options, self),
      consulOffset(options),
    ]);
    const { finding, members } = service;
    return { findings: [first, ...rights, finding], members, offsets: offset ? [offset] : [] };
  } catch (error) {
    const detail = `${at} does not answer: ${messageOf(error)}`;
    if (!isNamed)
      return stop(skipped("consul", `${detail}; dpool serve needs one, dpool dev does not`));
    return stop(
      failed("consul", detail, {
        cure: "start the agent, or name another one by --consul or CONSUL_HTTP_ADDR; with systemd:",
        command: "systemctl start consul",
      }),
    );
  }
}

async function rightsFindings(consul: ConsulClient, options: ConsulOptions): Promise<Finding[]> {
  const name = "consul rights";
  const { register, keys } = await missingRights(consul, options);
  const cure = (rules: readonly string[]) => ({
    cure:
      "add these rules to the policy of the member's token, or give another token by " +
      `CONSUL_HTTP_TOKEN:\n${rules.join("\n")}`,
  });
  if (register.refusal !== undefined)
    return [failed(name, register.refusal, cure([...register.rules, ...keys.rules]))];
  if (keys.refusal !== undefined)
    return [
      warning(name, `${keys.refusal}; calls with an idempotency key are refused`, cure(keys.rules)),
    ];
  return [ok(name, "enough to register, to read the members, and for idempotency keys")];
}

/** An entry of the health list with the names of its checks. */
interface NamedEntry extends HealthEntry {
  readonly Checks: readonly {
    readonly Status: string;
    readonly CheckID: string;
    readonly Output: string;
    readonly Notes: string;
  }[];
}

async function serviceFound(consul: ConsulClient, { address }: ConsulOptions, self: Member) {
  const query = { service: SERVICE, ...timeout };
  const entries = (await consul.health.service(query)) as unknown as NamedEntry[];
  const members = entries.map(memberOf).filter((member) => member !== undefined);
  const own = entries.find((entry) => memberOf(entry)?.name === self.name);
  return { members, finding: serviceFinding(own, address, self) };
}

function serviceFinding(own: NamedEntry | undefined, address: string, { name }: Member): Finding {
  const check = "consul service";
  if (!own) return skipped(check, `member ${name} is not registered: it does not run yet`);
  const heartbeat = own.Checks.find(({ CheckID }) => CheckID === checkId(name));
  if (heartbeat?.Status !== "passing")
    return failed(
      check,
      `the heartbeat of member ${name} is ${heartbeat?.Status ?? "missing"}: ` +
        `${heartbeat?.Output.trim() || "no check"}`,
      {
        cure: `start member ${name} again, or where it has gone for good, take it off the list:`,
        command: `consul services deregister -http-addr=${address} -id=${serviceId(name)}`,
      },
    );
  const sick = own.Checks.find(({ Status }) => Status !== "passing");
  return sick
    ? warning(check, `member ${name} takes no children: ${sick.Notes || sick.Output}`, {
        cure: "a member that drains ends by itself; the log of any other names the reason",
      })
    : ok(check, `member ${name} is registered, and its heartbeat passes`);
}

/** The clock of the agent, which is that of this machine where it runs here. */
async function consulOffset(options: ConsulOptions): Promise<Offset | undefined> {
  const { auth } = options;
  const basic = auth && `Basic ${Buffer.from(auth).toString("base64")}`;
  const client = new Client(new NodeTransport(), basic);
  try {
    const url = addressOf(options);
    // Over https, the agent's certificate may have an authority of its own: its members tell more.
    if (url.protocol !== "http:") return undefined;
    return await offsetOf(client, { url: `${url.origin}/v1/status/leader`, of: "Consul" });
  } catch {
    return undefined;
  } finally {
    client.close();
  }
}
