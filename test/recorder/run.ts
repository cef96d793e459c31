/** A recorded run: a cluster, its clients, a schedule of faults, and the history of it all. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../helpers/wait.ts";
import { Callers } from "./callers/callers.ts";
import { FENCE_MS, FENCED_POOL, SINK_FOLDER, TASK, TASK_SOURCE } from "./calls.ts";
import { runClient } from "./clients.ts";
import { ConsulServers } from "./cluster/consul-servers.ts";
import { type Cluster, carryOut, faultsLeftOut } from "./cluster/faults.ts";
import { clockLibrary, clockMissing, prlimitMissing, released } from "./cluster/machine.ts";
import { MemberHost } from "./cluster/member-host.ts";
import { Network, networkMissing } from "./cluster/network.ts";
import { Sink } from "./cluster/sink.ts";
import {
  type CallRecord,
  FAULTS,
  type Fault,
  type FaultKind,
  type History,
  type Rest,
} from "./history.ts";
import { Random } from "./random.ts";
import { type PlannedFault, scheduleOf } from "./schedule.ts";

const MEMBERS = ["m1", "m2", "m3", "m4", "m5"];
/** Its process lives as long as the run. */
export const SPARED = "m1";
const GUESTS = { join: "m6", released: "m7" } as const;
/**
 * What waits at a member: one warm process, two that are kept for their next calls, and two
 * sandboxes for commands in each of three pools.
 */
const WARM = 9;
/** The time in which everything has to come to rest; linked children and placed ones end first. */
/** 3 hours: a clock that steps by up to 1 hour lets no key expire. */
const KEYS_MS = 10_800_000;
const REST_MS = 60_000;
const SEEN_MS = 60_000;

export interface RunOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Callers at a time. Default 40. */
  readonly clients?: number;
  /** Kinds of faults to make. Default: all of them. */
  readonly faults?: readonly FaultKind[] | undefined;
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

/** Writes the options of the members, and those of the last release. Returns both files. */
function optionsFiles(folder: string, sink: Sink): { config: string; released: string } {
  const tasks = join(folder, "tasks");
  mkdirSync(tasks);
  writeFileSync(join(tasks, `${TASK}.mjs`), TASK_SOURCE);
  const readOnly = [`${sink.folder}:${SINK_FOLDER}`];
  const pools = {
    pipeline: { maxChildren: 4, readOnly },
    warm: { maxChildren: 2, readOnly, warm: { node: 1 }, reuse: true },
  };
  const fenced = { maxChildren: 3, readOnly, fenceMs: FENCE_MS };
  // The last release knows neither keys nor fences.
  const released = { tasks, graceMs: 500, drainMs: 5_000, pools };
  const own = { ...released, idempotencyMs: KEYS_MS, pools: { ...pools, [FENCED_POOL]: fenced } };
  const written = (name: string, options: object) => {
    const file = join(folder, `${name}.yaml`);
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(options));
    return file;
  };
  return { config: written("members", own), released: written("released", released) };
}

async function startMembers(parts: {
  readonly network: Network;
  readonly consul: ConsulServers;
  readonly folder: string;
  /** The files of the members' options. */
  readonly options: ReturnType<typeof optionsFiles>;
  /** The program of the last release. */
  readonly released: string | undefined;
}): Promise<Map<string, MemberHost>> {
  const { network, consul, folder, options, released } = parts;
  const members = new Map<string, MemberHost>();
  for (const [index, name] of [...MEMBERS, GUESTS.join, GUESTS.released].entries()) {
    const host = await network.host(name);
    const library = clockLibrary();
    const file = join(folder, `clock-${name}`);
    writeFileSync(file, "+0");
    const setup = {
      host,
      config: name === GUESTS.released ? options.released : options.config,
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
  const { faults: wanted = FAULTS } = options;
  const without = new Set(FAULTS.filter((kind) => leftOut.has(kind) || !wanted.includes(kind)));
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
    const files = optionsFiles(folder, sink);
    const members = await startMembers({
      network,
      consul,
      folder,
      options: files,
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
