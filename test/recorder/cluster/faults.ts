/** Makes the faults of a schedule on a running cluster, and mends them. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Fault, FaultKind } from "../history.ts";
import { claimsOf, type PlannedFault } from "../schedule.ts";
import type { ConsulServers } from "./consul-servers.ts";
import type { MemberHost } from "./member-host.ts";
import type { Network } from "./network.ts";

/** Descriptors that are left to a member without any. */
const FREE_DESCRIPTORS = 2;
const FILL_BYTES = 1024 * 1024;

export interface Cluster {
  readonly network: Network;
  readonly consul: ConsulServers;
  member(name: string): MemberHost;
}

/** Mends the fault. */
type Mend = () => void | Promise<void>;
type Make = (cluster: Cluster, fault: PlannedFault) => Mend | Promise<Mend>;

/** The member of a fault that hits one. */
const only = ({ member }: Cluster, { hosts }: PlannedFault) => member(hosts[0] as string);

/** Takes the last byte and the last file of a folder's file system. */
function fill(folder: string): string {
  const full = join(folder, "full");
  mkdirSync(full);
  const block = Buffer.alloc(FILL_BYTES);
  // The last write fails, and a smaller one may still fit.
  for (let bytes = FILL_BYTES; bytes >= 1; bytes = bytes >> 4)
    untilItFails(() => writeFileSync(join(full, "bytes"), block.subarray(0, bytes), { flag: "a" }));
  let files = 0;
  untilItFails(() => writeFileSync(join(full, String(files++)), ""));
  return full;
}

function untilItFails(write: () => void): void {
  try {
    for (;;) write();
  } catch {
    // There is no room left.
  }
}

const MAKE: Readonly<Record<FaultKind, Make>> = {
  kill: async (cluster, fault) => {
    const member = only(cluster, fault);
    await member.end("SIGKILL");
    return () => member.start();
  },
  stop: (cluster, fault) => {
    const member = only(cluster, fault);
    member.signal("SIGSTOP");
    return () => member.signal("SIGCONT");
  },
  cut: ({ network }, { hosts: [host = ""] }) => {
    network.lose(host, "in");
    network.lose(host, "out");
    return () => {
      network.pass(host, "in");
      network.pass(host, "out");
    };
  },
  mute: ({ network }, { hosts: [host = ""] }) => {
    network.lose(host, "out");
    return () => network.pass(host, "out");
  },
  deaf: ({ network }, { hosts: [host = ""] }) => {
    network.lose(host, "in");
    return () => network.pass(host, "in");
  },
  apart: ({ network }, { hosts: [from = "", to = ""] }) => {
    network.separate(from, to);
    return () => network.join(from, to);
  },
  leader: async ({ consul }) => {
    await consul.kill(await consul.leader());
    return () => consul.restart();
  },
  empty: async ({ consul }) => {
    await consul.wipe();
    return () => consul.restart();
  },
  full: (cluster, fault) => {
    const full = fill(only(cluster, fault).host.tempHere);
    return () => rmSync(full, { recursive: true, force: true });
  },
  descriptors: (cluster, fault) => {
    const member = only(cluster, fault);
    member.limitDescriptors(FREE_DESCRIPTORS);
    return () => member.limitDescriptors();
  },
  clock: (cluster, fault) => {
    const member = only(cluster, fault);
    member.stepClock(fault.stepS);
    return () => member.stepClock(0);
  },
  rolling: async ({ member }, { hosts }) => {
    for (const name of hosts) {
      await member(name).end("SIGTERM");
      await member(name).start();
    }
    return () => {};
  },
  join: guest,
  released: guest,
};

/** A member that joins for a while, and leaves in order. */
async function guest(cluster: Cluster, fault: PlannedFault): Promise<Mend> {
  const member = only(cluster, fault);
  await member.start();
  return () => member.end("SIGTERM");
}

/** Why this machine cannot make some of the faults. */
export interface Abilities {
  readonly network: string | undefined;
  readonly clock: string | undefined;
  readonly released: string | undefined;
  readonly prlimit: string | undefined;
}

export function faultsLeftOut(why: Abilities): Map<FaultKind, string> {
  const needs: readonly (readonly [FaultKind, string | undefined])[] = [
    ...(["cut", "mute", "deaf", "apart", "full"] as const).map(
      (kind) => [kind, why.network] as const,
    ),
    ["descriptors", why.prlimit],
    ["clock", why.clock],
    ["released", why.released],
  ];
  return new Map(
    needs.flatMap(([kind, reason]) => (reason === undefined ? [] : [[kind, reason] as const])),
  );
}

/**
 * Makes the faults of a schedule at their times, and mends each at its end. A fault that takes
 * longer than planned holds up the next one of its hosts.
 *
 * @param startedAt the start of the run, in milliseconds of the wall clock.
 * @param made receives the faults as they happen.
 */
export async function carryOut(
  cluster: Cluster,
  schedule: readonly PlannedFault[],
  { startedAt, made }: { readonly startedAt: number; readonly made: Fault[] },
): Promise<void> {
  const turns = new Map<string, Promise<void>>();
  const faults = schedule.map(async (fault) => {
    const claims = claimsOf(fault);
    const before = claims.map((claim) => turns.get(claim));
    const turn = Promise.withResolvers<void>();
    for (const claim of claims) turns.set(claim, turn.promise);
    await pause(Math.max(0, startedAt + fault.atMs - Date.now()));
    await Promise.all(before);
    const { kind, hosts } = fault;
    const happened = { kind, hosts, from: Date.now(), until: Number.POSITIVE_INFINITY };
    made.push(happened);
    const mend = await MAKE[kind](cluster, fault);
    await pause(Math.max(0, happened.from + fault.forMs - Date.now()));
    await mend();
    happened.until = Date.now();
    turn.resolve();
  });
  await Promise.all(faults);
}
