/** The ways to choose a member: the real placement code, and three simple ones beside it. */
import { CapacityError, PoolError } from "../../../openapi/errors.ts";
import { PoolHealth } from "../../../sdk/typescript/placement/choice/health.ts";
import type { Member } from "../../../sdk/typescript/placement/members.ts";
import { place } from "../../../sdk/typescript/placement/place.ts";
import type { World } from "./world.ts";

/** 3 tries of the simple ways, each with a new choice. */
const TRIES = 3;

/** Places one call of a client. @returns whether a member admitted it. */
export type Policy = () => Promise<boolean>;

/** What the policies of one client work with. */
export interface PolicyPorts {
  readonly world: World;
  readonly random: () => number;
  readonly now: () => number;
}

/** The loads that a client knows, as far as the simulation tells it of ends. */
interface Known {
  ended(name: string, now: number): void;
}

type Make = (ports: PolicyPorts) => Policy | Promise<Policy>;

type Ports = Parameters<typeof place<boolean>>[2];

/** A code of the placement that knows no loads has no such file. */
async function makeKnown(): Promise<Known | undefined> {
  const file = "../../../sdk/typescript/placement/choice/known-loads.ts";
  try {
    const { KnownLoads } = (await import(file)) as { KnownLoads: new () => Known };
    return new KnownLoads();
  } catch {
    return undefined;
  }
}

/** The code of the SDK and the gateway, with the health of members. */
async function ours({ world, random, now }: PolicyPorts): Promise<Policy> {
  const known = await makeKnown();
  const health = new PoolHealth(now);
  const ports = {
    random,
    now,
    ...(known && { known }),
    mayTry: health.mayTry,
    probe: (member: Member) => health.timed(member, () => world.probe(member)),
    async admit(member: Member) {
      const onEnd = () => known?.ended(member.name, now());
      const { isAdmitted, load } = await world.admit(member, onEnd);
      return isAdmitted ? { admitted: true, load } : ({ full: true, load } as const);
    },
  };
  return async () => {
    try {
      return await place("p", world.members, ports as unknown as Ports);
    } catch (error) {
      if (error instanceof CapacityError || error instanceof PoolError) return false;
      throw error;
    }
  };
}

/** A policy that makes a choice, and another one when it is refused. */
const simple =
  (choose: (ports: PolicyPorts) => Promise<Member>): Make =>
  (ports) =>
  async () => {
    for (let tries = 0; tries < TRIES; tries++) {
      const { isAdmitted } = await ports.world.admit(await choose(ports), () => {});
      if (isAdmitted) return true;
    }
    return false;
  };

const drawn = ({ world: { members }, random }: PolicyPorts) =>
  members[Math.floor(random() * members.length)] as Member;

/** The least loaded of those that were asked; equals in random order. */
async function leastOf({ world, random }: PolicyPorts, members: readonly Member[]) {
  const told = await world.probeAll(members);
  let best = 0;
  let equals = 1;
  for (let index = 1; index < told.length; index++) {
    const difference = (told[index] ?? 0) - (told[best] ?? 0);
    equals = difference < 0 ? 1 : difference === 0 ? equals + 1 : equals;
    if (difference < 0 || (difference === 0 && random() * equals < 1)) best = index;
  }
  return members[best] as Member;
}

export const POLICIES: Readonly<Record<string, Make>> = {
  "the placement code": ours,
  "scan all": simple((ports) => leastOf(ports, ports.world.members)),
  random: simple(async (ports) => drawn(ports)),
  "two choices": simple((ports) => leastOf(ports, [drawn(ports), drawn(ports)])),
};
