/**
 * Peers on the same work: `(x) => x` with 1, 16 and 64 callers. Also the original in Elixir, which
 * runs neither a process nor a sandbox, with 1 to 1,000 members.
 */
import type { Context, Outcome, Table } from "../benchmark.ts";
import type { Measured, Task } from "../load/task.ts";
import { Worker } from "../load/worker.ts";
import { type Figures, inTurns, type Subject } from "../measure/turns.ts";
import { installPeers } from "../peers/install.ts";
import { Original, SIZES } from "../peers/original.ts";
import { PEERS, type Peer } from "../peers/peers.ts";
import { type Cluster, startCluster } from "../setting/cluster.ts";
import { IDENTITY, JSON_FORM, SSE } from "./calls.ts";

const CALLERS = [1, 16, 64];
const ROUNDS = 3;
const MS = 700;

type PeerSample = Readonly<Record<"perSecond" | "p50" | "p99", number>>;
type Started = Subject<PeerSample>;

/** Our own ways, under the names of the figures. */
function ownSubjects({ member }: Cluster, loader: Worker<Task, Measured>, callers: number) {
  const body = { pool: "reused", function: IDENTITY };
  const ways = { SSE: { path: "/call", ...SSE }, JSON: { path: "/run", ...JSON_FORM } };
  return Object.entries(ways).map(
    ([form, way]): Started => ({
      name: `distributed-pool, ${form}`,
      async measure() {
        const task = { urls: [member.url], body, ...way, callers };
        const { perSecond, p50, p99, failures } = await loader.run({ ...task, ms: MS });
        if (Object.keys(failures).length > 0) throw new Error(JSON.stringify(failures));
        return { perSecond, p50, p99 };
      },
    }),
  );
}

/** The members of the original's pool; undefined for another peer. */
const sizeOf = (name: string) => /^Elixir, (\d+)/.exec(name)?.[1];

function tableOf(title: string, measured: ReadonlyMap<string, Figures<PeerSample>>): Table {
  const ours = measured.get("distributed-pool, SSE")?.perSecond.median ?? Number.NaN;
  const rowOf = ([name, { perSecond, p50, p99 }]: [string, Figures<PeerSample>]) => [
    name,
    perSecond,
    // In larger pools, a call is placed first: the aims compare that.
    ["1", undefined].includes(sizeOf(name)) ? `${(ours / perSecond.median).toFixed(2)} ×` : "",
    p50,
    p99,
  ];
  const rows = [...measured].map(rowOf);
  return { title, columns: ["who", "calls/s", "ours, SSE, beside it", "p50 ms", "p99 ms"], rows };
}

/** Starts something that may be missing. @returns undefined with a note of the reason. */
async function orNote<T>(
  name: string,
  missing: ReadonlyMap<string, string>,
  start: () => Promise<T>,
  notes: string[],
): Promise<T | undefined> {
  const [kind = ""] = name.split(",");
  const reason = missing.get(kind);
  if (reason !== undefined) {
    notes.push(`${name}: skipped, ${reason}`);
    return undefined;
  }
  try {
    return await start();
  } catch (error) {
    notes.push(`${name}: skipped, ${(error as Error).message}`);
    return undefined;
  }
}

export async function run(context: Context): Promise<Outcome> {
  const { log } = context;
  log("peers: installing");
  const missing = installPeers();
  const notes: string[] = [];
  const cluster = await startCluster(context, "peers", ["reused"]);
  const loader = new Worker<Task, Measured>("load");
  const peers: [string, Peer][] = [];
  let original: Original | undefined;
  const tables: Table[] = [];
  const figures: Record<string, number> = {};
  try {
    for (const { name, start } of PEERS) {
      const peer = await orNote(name, missing, start, notes);
      if (peer) peers.push([name, peer]);
    }
    log("peers: starting the nodes of the original");
    original = await orNote("Elixir", missing, () => Original.start(), notes);
    const failed = new Map<number, number>();
    for (const callers of CALLERS) {
      log(`peers: ${callers} callers`);
      const ofOriginal = (original ? SIZES : []).map(
        (size): Started => ({
          name: size === 1 ? "Elixir, 1 member" : `Elixir, ${size} members`,
          async measure() {
            const { failed: lost, ...seen } = await (original as Original).run(size, {
              callers,
              ms: MS,
            });
            failed.set(size, (failed.get(size) ?? 0) + lost);
            return seen;
          },
        }),
      );
      const others = peers.map(
        ([name, peer]): Started => ({ name, measure: () => peer.run({ callers, ms: MS }) }),
      );
      const own = ownSubjects(cluster, loader, callers);
      const subjects = [...own, ...others, ...ofOriginal];
      // These calls start the processes.
      const starting = { callers, ms: MS };
      for (const each of own) await each.measure().catch(() => {});
      for (const [, peer] of peers) await peer.run(starting).catch(() => {});
      const measured = await inTurns(subjects, ROUNDS, (name, error) =>
        notes.push(`${name}, ${callers} callers: ${(error as Error).message}`),
      );
      tables.push(tableOf(callers === 1 ? "1 caller" : `${callers} callers`, measured));
      for (const [name, each] of measured) {
        const size = sizeOf(name);
        const prefix = size === undefined ? `peers/${name}` : `elixir/${size}`;
        for (const [measure, { median }] of Object.entries(each))
          figures[`${prefix}/${callers}/${measure}`] = median;
      }
    }
    for (const [size, lost] of failed)
      if (lost > 0) notes.push(`Elixir, ${size} members: ${lost} calls failed at full members`);
  } finally {
    await Promise.all([...peers.map(([, peer]) => peer.end()), original?.end(), loader.end()]);
    await cluster.end();
  }
  return { tables, figures, notes };
}
