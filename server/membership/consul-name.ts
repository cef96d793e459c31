/** Finds another live member of the same name in Consul: a name belongs to one member. */
import { connect } from "node:net";
import { PoolError } from "../../openapi/errors.ts";
import type { ConsulClient } from "../../sdk/typescript/node/consul/consul-client.ts";
import {
  type HealthEntry,
  memberOf,
  SERVICE,
} from "../../sdk/typescript/node/consul/consul-service.ts";
import type { Member, Members } from "../../sdk/typescript/placement/members.ts";
import { checkId } from "./consul-registration.ts";
import { nameTaken } from "./membership.ts";

/** 5 seconds for a registration to appear on the list, which the member reads every 50 ms. */
const LISTED_TIMEOUT_MS = 5_000;
const LISTED_POLL_MS = 50;

/** 2 seconds for a connection to the other member. */
const CONNECT_TIMEOUT_MS = 2_000;

/** An entry of the health list with what a claim to a name needs. */
interface NamedEntry extends HealthEntry {
  readonly Service: HealthEntry["Service"] & { readonly CreateIndex: number };
  readonly Checks: readonly { readonly Status: string; readonly CheckID: string }[];
}

/** Another member of the same name, whose heartbeat Consul still believes. */
export interface Rival {
  readonly url: string;
  /** Whether it takes connections; false where that cannot be told. */
  readonly answers: boolean;
  /** Whether it registered before this member, or in its place. */
  readonly comesFirst: boolean;
  /** Whether it replaced this member at the same agent. */
  readonly replaced: boolean;
}

/**
 * The live member of the same name at another URL; undefined where there is none. A former process
 * of this member that refuses connections has ended, whatever Consul still believes.
 *
 * @throws the error of Consul's client.
 */
async function rivalOf(consul: ConsulClient, self: Member): Promise<Rival | undefined> {
  const filter = `Service.Meta.member == "${self.name}"`;
  const query = { service: SERVICE, filter, timeout: CONNECT_TIMEOUT_MS };
  const entries = (await consul.health.service(query)) as unknown as NamedEntry[];
  const urlOf = (entry: NamedEntry) => memberOf(entry)?.url ?? "";
  const own = entries.find((entry) => urlOf(entry) === self.url);
  for (const entry of entries) {
    const url = urlOf(entry);
    // A member that drains or is sick is in maintenance, which fails another check.
    const beats = entry.Checks.some(
      ({ CheckID, Status }) => CheckID === checkId(self.name) && Status === "passing",
    );
    if (entry === own || !beats) continue;
    const state = await stateOf(url);
    if (state === "refuses") continue;
    const comesFirst = !own || entry.Service.CreateIndex < own.Service.CreateIndex;
    return { url, answers: state === "answers", comesFirst, replaced: !own };
  }
  return undefined;
}

/** The other one of two members that registered at the same time, where it keeps the name. */
export async function earlierRivalOf(
  consul: ConsulClient,
  self: Member,
): Promise<Rival | undefined> {
  const rival = await rivalOf(consul, self).catch(() => undefined);
  return rival?.answers && rival.comesFirst ? rival : undefined;
}

/**
 * Waits until the name is free: while Consul is away, and while a member that Consul believes in
 * cannot be reached.
 *
 * @param tryAgain is called with the reason for each further look, and resolves when it is due.
 * @throws {PoolError} `invalid_request` where another member of this name answers.
 */
export async function untilNameIsFree(
  consul: ConsulClient,
  self: Member,
  tryAgain: (why: unknown) => Promise<unknown>,
): Promise<void> {
  for (;;) {
    try {
      const rival = await rivalOf(consul, self);
      if (!rival) return;
      const taken = nameTaken(self, rival);
      if (rival.answers) throw taken;
      await tryAgain(taken);
    } catch (error) {
      if (error instanceof PoolError) throw error;
      await tryAgain(error);
    }
  }
}

/** Whether a port takes connections, refuses them, or cannot be reached in time. */
function stateOf(url: string): Promise<"answers" | "refuses" | "unknown"> {
  const { protocol, hostname, port } = new URL(url);
  const socket = connect({
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || (protocol === "https:" ? 443 : 80)),
    timeout: CONNECT_TIMEOUT_MS,
  });
  return new Promise<"answers" | "refuses" | "unknown">((resolve) => {
    socket.once("connect", () => resolve("answers"));
    socket.once("timeout", () => resolve("unknown"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      resolve(code === "ECONNREFUSED" ? "refuses" : "unknown"),
    );
  }).finally(() => socket.destroy());
}

interface Listing extends Pick<Members, "all"> {
  readonly wait: (ms: number) => Promise<void>;
  /** Whether the member has left meanwhile. */
  readonly isOver: () => boolean;
}

/** Whether Consul's list shows the member in time. True without asking once the member leaves. */
export async function isListed(name: string, { all, wait, isOver }: Listing): Promise<boolean> {
  for (let waited = 0; waited < LISTED_TIMEOUT_MS && !isOver(); waited += LISTED_POLL_MS) {
    const members = await all().catch(() => []);
    if (members.some((member) => member.name === name)) return true;
    await wait(LISTED_POLL_MS);
  }
  return isOver();
}
