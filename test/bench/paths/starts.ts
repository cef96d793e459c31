/**
 * Calls that need a process of their own: one-use warm, cold, and commands, beside bare starts and
 * L. Directly and through a gateway, as SSE and as JSON, with 1, 16 and 64 callers.
 */
import type { Cell, Context, Outcome, Span, Table } from "../benchmark.ts";
import type { Measured, Task } from "../load/task.ts";
import { Worker } from "../load/worker.ts";
import { childrenCpuMsOf, cpuMsOf } from "../measure/processes.ts";
import { ascending, quantile } from "../measure/statistics.ts";
import { type Figures, inTurns, monotonicUs, profiledOf, type Subject } from "../measure/turns.ts";
import { BARE, type BareAnswer, type BareName, type BareTask } from "../setting/bare.ts";
import { type Cluster, startCluster } from "../setting/cluster.ts";
import { startLimit } from "../setting/limit.ts";
import { IDENTITY } from "./calls.ts";

type StartSample = Readonly<
  Record<"p50" | "p99" | "perSecond" | "member" | "gateway" | "children", number>
>;
type Loader = Worker<Task, Measured>;

interface Kind {
  readonly name: string;
  readonly pool: string;
  readonly work: object;
  /** What a good answer holds, as SSE and as JSON. */
  readonly expected: string;
  /** Whether each call has to find a process that waits. */
  readonly isPrepared: boolean;
}

const FUNCTION = { work: { function: IDENTITY }, expected: '"value":7' };
const COMMAND = { work: { command: ["true"] }, expected: '"exitCode":0' };

const KINDS: readonly Kind[] = [
  { name: "one-use function, warm", pool: "warm", ...FUNCTION, isPrepared: true },
  { name: "function, cold", pool: "cold", ...FUNCTION, isPrepared: false },
  { name: "command, prepared", pool: "prepared", ...COMMAND, isPrepared: true },
  { name: "command, cold", pool: "cold", ...COMMAND, isPrepared: false },
];

type Route = "direct" | "gateway to itself" | "gateway to another";
type Form = "SSE" | "JSON";

/** JSON through a gateway is left out: reused calls show what the form of an answer costs. */
const WAYS: readonly (readonly [Route, Form])[] = [
  ["direct", "SSE"],
  ["direct", "JSON"],
  ["gateway to itself", "SSE"],
  ["gateway to another", "SSE"],
];

function taskOf({ member, gateway }: Cluster, kind: Kind, route: Route, form: Form) {
  const verb = form === "SSE" ? "call" : "run";
  const isDirect = route === "direct";
  return {
    urls: [route === "gateway to another" ? gateway.url : member.url],
    path: isDirect ? `/${verb}` : `/pools/${kind.pool}/${verb}`,
    body: isDirect ? { pool: kind.pool, ...kind.work } : kind.work,
    accept: form === "SSE" ? "text/event-stream" : "application/json",
    expected: kind.expected,
  };
}

/** Runs something, and divides what the members spend meanwhile by the calls. */
async function counted(
  { member, gateway, settled }: Cluster,
  calls: number,
  run: () => Promise<Pick<StartSample, "p50" | "p99" | "perSecond">>,
): Promise<StartSample> {
  const read = () => [cpuMsOf(member.pid), cpuMsOf(gateway.pid), childrenCpuMsOf(member.pid)];
  const before = read();
  const times = await run();
  // A one-use process that is replaced belongs to the call that took it.
  await settled();
  const [own = 0, through = 0, children = 0] = read().map(
    (each, index) => Math.max(0, each - (before[index] as number)) / calls,
  );
  return { ...times, member: own, gateway: through, children };
}

function timesOf(times: readonly number[], ms: number) {
  const sorted = ascending(times);
  return {
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    perSecond: times.length / (ms / 1_000),
  };
}

/** Calls one after the other, each after the member has prepared itself for it. */
async function oneByOne(
  cluster: Cluster,
  loader: Loader,
  task: Omit<Task, "callers">,
  { calls, isPrepared }: { readonly calls: number; readonly isPrepared: boolean },
) {
  const times: number[] = [];
  for (let call = 0; call < calls; call++) {
    if (isPrepared) await cluster.settled();
    const { p50, failures } = await loader.run({ ...task, callers: 1, calls: 1 });
    if (!Number.isFinite(p50)) throw new Error(JSON.stringify(failures));
    times.push(p50);
  }
  return timesOf(
    times,
    times.reduce((sum, each) => sum + each, 0),
  );
}

async function atOnce(loader: Loader, task: Task) {
  const { p50, p99, perSecond, failures } = await loader.run(task);
  if (Object.keys(failures).length > 0) throw new Error(JSON.stringify(failures));
  return { p50, p99, perSecond };
}

const NONE = { member: 0, gateway: 0, children: 0 };

function bareSubjects(
  bare: Worker<BareTask, BareAnswer>,
  callers: number,
  calls: number,
): Subject<StartSample>[] {
  return (Object.keys(BARE) as BareName[]).map((name) => ({
    name,
    async measure() {
      const { times, ms } = await bare.run({ name, callers, calls });
      return { ...timesOf(times, ms), ...NONE };
    },
  }));
}

function tableOf(title: string, measured: ReadonlyMap<string, Figures<StartSample>>): Table {
  const rows = [...measured].map(([name, each]): Cell[] => [
    name,
    each.p50,
    each.p99,
    each.perSecond,
    each.member,
    each.gateway,
    each.children,
  ]);
  const columns = ["start", "p50 ms", "p99 ms", "calls/s"];
  return { title, columns: [...columns, "member ms", "gateway ms", "children ms"], rows };
}

/** The rounds with one caller and with many, and the calls of each subject in each round. */
const FULL = { rounds: 5, callers: [16, 64], one: 3, many: 32 };
const QUICK = { rounds: 1, callers: [], one: 1, many: 0 };

export async function run(context: Context): Promise<Outcome> {
  const { quick, log } = context;
  const { rounds, callers: several, one, many } = quick ? QUICK : FULL;
  const cluster = await startCluster(context, "starts", ["warm", "cold", "prepared"]);
  const limit = await startLimit(1);
  const loader: Loader = new Worker("load");
  const bare = new Worker<BareTask, BareAnswer>("bare");
  const tables: Table[] = [];
  const figures: Record<string, number> = {};
  const notes: string[] = [];
  const add = async (callers: number, subjects: readonly Subject<StartSample>[], turns: number) => {
    log(`starts: ${callers === 1 ? "1 caller" : `${callers} callers`}`);
    const measured = await inTurns(subjects, turns, (name, error) =>
      notes.push(`${name}, ${callers} callers: ${(error as Error).message}`),
    );
    tables.push(tableOf(callers === 1 ? "1 caller" : `${callers} callers`, measured));
    for (const [name, { p50, perSecond }] of measured)
      Object.assign(figures, {
        [`starts/${name}/${callers}/p50`]: p50.median,
        [`starts/${name}/${callers}/perSecond`]: perSecond.median,
      });
  };
  const ways = quick ? WAYS.slice(0, 1) : WAYS;
  const all = KINDS.flatMap((kind) => ways.map(([route, form]) => ({ kind, route, form })));
  const nameOf = ({ kind, route, form }: (typeof all)[number]) =>
    route === "direct" && form === "SSE" ? kind.name : `${kind.name}, ${route}, ${form}`;
  let measured: Span | undefined;
  try {
    const cells = profiledOf(all, nameOf, context);
    const calls = one;
    const ofLimit = {
      urls: [limit.url],
      path: "/call",
      body: { function: IDENTITY },
      expected: '"value":7',
    };
    // A first call pays for connections and compilation.
    for (const { kind, route, form } of cells)
      await loader.run({ ...taskOf(cluster, kind, route, form), callers: 1, calls: 1 });
    const from = monotonicUs();
    const limitAlone: Subject<StartSample> = {
      name: "L",
      measure: async () => ({
        ...(await oneByOne(cluster, loader, ofLimit, { calls: one * 4, isPrepared: false })),
        ...NONE,
      }),
    };
    const alone = cells.map((cell) => ({
      name: nameOf(cell),
      measure: () => {
        const { isPrepared } = cell.kind;
        const task = taskOf(cluster, cell.kind, cell.route, cell.form);
        return counted(cluster, calls, () =>
          oneByOne(cluster, loader, task, { calls, isPrepared }),
        );
      },
    }));
    await add(1, [limitAlone, ...bareSubjects(bare, 1, one * 2), ...alone], rounds);
    measured = { from, to: monotonicUs() };
    for (const callers of several) {
      const together = cells.map((cell) => ({
        name: nameOf(cell),
        measure: () => {
          const task = taskOf(cluster, cell.kind, cell.route, cell.form);
          const calls = Math.max(many, callers);
          return counted(cluster, calls, () => atOnce(loader, { ...task, callers, calls }));
        },
      }));
      await add(callers, [...bareSubjects(bare, callers, many * 2), ...together], 1);
    }
  } finally {
    await Promise.all([loader.end(), bare.end(), limit.end()]);
    await cluster.end();
  }
  return { tables, figures, notes, ...(measured && { measured }) };
}
