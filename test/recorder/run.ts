/** A recorded run: a cluster, its clients, a schedule of faults, and the history of it all. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../helpers/wait.ts";
import { Callers } from "./callers/callers.ts";
import { callsOf, SINK_FOLDER, TASK, TASK_SOURCE } from "./calls.ts";
import { ConsulServers } from "./cluster/consul-servers.ts";
import { type Cluster, carryOut, faultsLeftOut } from "./cluster/faults.ts";
import { clockLibrary, clockMissing, prlimitMissing, released } from "./cluster/machine.ts";
import { MemberHost } from "./cluster/member-host.ts";
import { Network, networkMissing } from "./cluster/network.ts";
import { Sink } from "./cluster/sink.ts";
import { type CallRecord, type Fault, type History, type Rest, WAYS } from "./history.ts";
import { Random } from "./random.ts";
import { type PlannedFault, scheduleOf } from "./schedule.ts";

const MEMBERS = ["m1", "m2", "m3", "m4", "m5"];
/** Its process lives as long as the run. */
export const SPARED = "m1";
const GUESTS = { join: "m6", released: "m7" } as const;
/** Warm processes of a member: those that wait, and those that are kept for their next call. */
const WARM = 2;
/** The time in which everything has to come to rest; linked children and placed ones end first. */
const REST_MS = 60_000;
const SEEN_MS = 60_000;

export interface RunOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Callers at a time. Default 40. */
  readonly clients?: number;
  /** Called about once every `sampleMs` with the members that run. */
  readonly sample?: (members: readonly MemberHost[]) => void;
  readonly sampleMs?: number;
  /** Gets lines for people. Default: they are dropped. */
  readonly tell?: (line: string) => void;
}

export interface Recorded extends History {
  readonly seed: number;
  readonly schedule: readonly PlannedFault[];
  readonly strange: readonly string[];
  /** The faults that this machine cannot make, each with the reason. */
  readonly leftOut: ReadonlyMap<string, string>;
}

function optionsFile(folder: string, sink: Sink): string {
  const tasks = join(folder, "tasks");
  mkdirSync(tasks);
  writeFileSync(join(tasks, `${TASK}.mjs`), TASK_SOURCE);
  const readOnly = [`${sink.folder}:${SINK_FOLDER}`];
  const file = join(folder, "members.yaml");
  // JSON is YAML.
  const options = {
    tasks,
    graceMs: 500,
    drainMs: 5_000,
    pools: {
      pipeline: { maxChildren: 4, readOnly },
      warm: { maxChildren: 2, readOnly, warm: { node: 1 }, reuse: true },
    },
  };
  writeFileSync(file, JSON.stringify(options));
  return file;
}

async function startMembers(parts: {
  readonly network: Network;
  readonly consul: ConsulServers;
  readonly folder: string;
  readonly config: string;
  /** The program of the last release. */
  readonly released: string | undefined;
}): Promise<Map<string, MemberHost>> {
  const { network, consul, folder, config, released } = parts;
  const members = new Map<string, MemberHost>();
  for (const [index, name] of [...MEMBERS, GUESTS.join, GUESTS.released].entries()) {
    const host = await network.host(name);
    const library = clockLibrary();
    const file = join(folder, `clock-${name}`);
    writeFileSync(file, "+0");
    const setup = {
      host,
      config,
      consul: consul.addresses[index % consul.addresses.length] as string,
      cli: name === GUESTS.released ? released : undefined,
      clock: library === undefined ? undefined : { library, file },
    };
    members.set(name, new MemberHost(setup));
  }
  for (const name of MEMBERS) await members.get(name)?.start();
  return members;
}

/** Every member sees all of them. */
function seen(members: readonly MemberHost[], timeoutMs = SEEN_MS): Promise<void> {
  return eventually(
    "every member sees all members",
    async () => {
      for (const { url } of members) {
        const answer = await fetch(`${url}/pools/pipeline`, { signal: AbortSignal.timeout(5_000) });
        const { members: known } = (await answer.json()) as { members: unknown[] };
        if (known?.length !== members.length) throw new Error(`${url} sees ${known?.length}`);
      }
    },
    timeoutMs,
  );
}

/** Runs one client after the other's call until the time is over. */
async function runClient(
  callers: Callers,
  { client, random, until }: { client: string; random: Random; until: number },
  calls: CallRecord[],
): Promise<void> {
  const way = WAYS[Number(client.slice(1)) % WAYS.length] as (typeof WAYS)[number];
  const plans = callsOf(random, client, way);
  while (Date.now() < until) {
    const { value: plan } = plans.next();
    calls.push(await callers.make(plan, client));
    // A member that refuses at once must not make its clients spin.
    await pause(10);
  }
}

/** What every process holds when nothing runs; asks until nothing is held, or the time is over. */
async function restOf(members: readonly MemberHost[]): Promise<Rest[]> {
  const until = Date.now() + REST_MS;
  for (;;) {
    const rest = await Promise.all(members.map((member) => member.rest(WARM)));
    const isAtRest = rest.every(
      ({ active, queued, groups, files, remains, warm }) =>
        active + queued + remains.length === 0 && Math.max(groups.length, files.length) <= warm,
    );
    if (isAtRest || Date.now() > until) return rest;
    await pause(500);
  }
}

/** Records a run. The machine is as before when it resolves. */
export async function record(options: RunOptions): Promise<Recorded> {
  const { seed, durationMs, clients = 40, tell = () => {} } = options;
  const random = new Random(seed);
  const release = await released();
  const leftOut = faultsLeftOut({
    network: networkMissing,
    clock: clockMissing(),
    released: release.missing,
    prlimit: prlimitMissing(),
  });
  const without = new Set(leftOut.keys());
  const schedule = scheduleOf(random.fork(), {
    durationMs,
    members: MEMBERS,
    guests: GUESTS,
    spared: new Set([SPARED]),
    without,
  });
  const folder = mkdtempSync(join(tmpdir(), "recorder-"));
  chmodSync(folder, 0o755);
  const sink = new Sink(folder);
  const network = new Network(folder);
  const closing: (() => unknown)[] = [
    () => rmSync(folder, { recursive: true, force: true }),
    () => network.close(),
    () => sink.close(),
  ];
  try {
    await network.open();
    const consul = await ConsulServers.start(network, folder);
    closing.push(() => consul.stop());
    const config = optionsFile(folder, sink);
    const members = await startMembers({
      network,
      consul,
      folder,
      config,
      released: release.cli,
    });
    const all = [...members.values()];
    closing.push(() => Promise.all(all.map((member) => member.end("SIGKILL"))));
    const usual = all.filter(({ name }) => MEMBERS.includes(name));
    await seen(usual);
    const startedAt = Date.now();
    const sampling = setInterval(() => options.sample?.(all), options.sampleMs ?? 10_000);
    closing.push(() => clearInterval(sampling));
    const callers = new Callers({ members: usual, consul: consul.addresses });
    closing.push(() => callers.close());
    const cluster: Cluster = {
      network,
      consul,
      member: (name) => members.get(name) as MemberHost,
    };
    const [calls, faults]: [CallRecord[], Fault[]] = [[], []];
    tell(`${schedule.length} faults and ${clients} clients for ${durationMs / 1_000} s`);
    await Promise.all([
      carryOut(cluster, schedule, { startedAt, made: faults }),
      ...Array.from({ length: clients }, (_, index) =>
        runClient(
          callers,
          { client: `c${index}`, random: random.fork(), until: startedAt + durationMs },
          calls,
        ),
      ),
    ]);
    tell(`${calls.length} calls are over; waiting for rest`);
    await callers.close();
    await seen(usual);
    const rest = await restOf(all);
    const exits = all.flatMap((member) => member.exits);
    return {
      seed,
      schedule,
      leftOut,
      calls,
      marks: sink.marks,
      faults,
      exits,
      rest,
      strange: sink.strange,
    };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}
