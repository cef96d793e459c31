/**
 * Calls of `(x) => x` in a pool with `reuse`, beside the limit L: directly, through a gateway to
 * itself and to another member, as SSE and as JSON, with 1, 16 and 64 callers.
 */
import type { Cell, Context, Figure, Outcome, Span, Table } from "../benchmark.ts";
import type { Measured, Task } from "../load/task.ts";
import { Worker } from "../load/worker.ts";
import { childrenCpuMsOf, cpuMsOf, kernelCallsOf } from "../measure/processes.ts";
import { type Figures, inTurns, monotonicUs, profiledOf } from "../measure/turns.ts";
import { type Cluster, startCluster } from "../setting/cluster.ts";
import { type Server, startLimit } from "../setting/limit.ts";

const CALLERS = [1, 16, 64];
/** The callers for which L has a process each. */
const PROCESSES = 16;

export const IDENTITY = { source: "(x) => x", args: [7] };
export const SSE = { accept: "text/event-stream", expected: '"value":7' } as const;
export const JSON_FORM = { accept: "application/json", expected: '"value":7' } as const;

/** One way to make the call. */
interface Way {
  readonly name: string;
  readonly task: Pick<Task, "urls" | "path" | "body" | "accept" | "expected">;
  /** The process that takes the call, and the one before it, if there is one. */
  readonly server: number;
  readonly gateway?: number;
}

export interface CallSample {
  readonly [name: string]: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Processor time a call, in milliseconds. */
  readonly server: number;
  readonly gateway: number;
  readonly children: number;
  readonly client: number;
  /** Calls of the kernel by the server, for each call. */
  readonly kernel: number;
}

function waysOf({ member, gateway }: Cluster, limits: readonly [string, Server][]): Way[] {
  const body = { function: IDENTITY };
  const direct = { urls: [member.url], body: { pool: "reused", ...body } };
  const self = { urls: [member.url], body };
  const other = { urls: [gateway.url], body };
  const path = "/pools/reused";
  const pids = { server: member.pid };
  return [
    ...limits.map(([name, { url, pid }]) => ({
      name,
      task: { urls: [url], path: "/call", body, ...SSE },
      server: pid,
    })),
    { name: "direct, SSE", task: { ...direct, path: "/call", ...SSE }, ...pids },
    { name: "direct, JSON", task: { ...direct, path: "/run", ...JSON_FORM }, ...pids },
    { name: "gateway to itself, SSE", task: { ...self, path: `${path}/call`, ...SSE }, ...pids },
    {
      name: "gateway to itself, JSON",
      task: { ...self, path: `${path}/run`, ...JSON_FORM },
      ...pids,
    },
    {
      name: "gateway to another, SSE",
      task: { ...other, path: `${path}/call`, ...SSE },
      ...pids,
      gateway: gateway.pid,
    },
    {
      name: "gateway to another, JSON",
      task: { ...other, path: `${path}/run`, ...JSON_FORM },
      ...pids,
      gateway: gateway.pid,
    },
  ];
}

/** Runs a task, and counts what each process spends on a call. */
export async function measureCalls(
  loader: Worker<Task, Measured>,
  task: Task,
  { server, gateway }: Pick<Way, "server" | "gateway">,
): Promise<CallSample> {
  const read = () => ({
    server: cpuMsOf(server),
    gateway: gateway === undefined ? 0 : cpuMsOf(gateway),
    children: childrenCpuMsOf(server),
    kernel: Object.values(kernelCallsOf(server)).reduce((sum, each) => sum + each, 0),
  });
  const before = read();
  const { good, perSecond, p50, p99, cpuMs, failures } = await loader.run(task);
  const after = read();
  if (Object.keys(failures).length > 0)
    throw new Error(`calls failed: ${JSON.stringify(failures)}`);
  return {
    perSecond,
    p50,
    p99,
    server: (after.server - before.server) / good,
    gateway: (after.gateway - before.gateway) / good,
    // A process that is killed may take its time with it.
    children: Math.max(0, after.children - before.children) / good,
    client: cpuMs / good,
    kernel: (after.kernel - before.kernel) / good,
  };
}

const COLUMNS = [
  "way",
  "calls/s",
  "beside L",
  "p50 ms",
  "beside L",
  "p99 ms",
  "member ms",
  "gateway ms",
  "children ms",
  "client ms",
  "reads and writes",
];

const ratio = (value: Figure, base: Figure | undefined) =>
  base === undefined ? "" : `${(value.median / base.median).toFixed(2)} ×`;

/** @param base the subject beside which the others stand. */
export function tableOf(
  title: string,
  measured: ReadonlyMap<string, Figures<CallSample>>,
  base: string,
): Table {
  const limit = measured.get(base);
  const row = ([name, each]: [string, Figures<CallSample>]): Cell[] => [
    name,
    each.perSecond,
    ratio(each.perSecond, limit?.perSecond),
    each.p50,
    ratio(each.p50, limit?.p50),
    each.p99,
    each.server,
    each.gateway,
    each.children,
    each.client,
    each.kernel,
  ];
  return { title, columns: COLUMNS, rows: [...measured].map(row) };
}

/** The figures of a table by `PREFIX/NAME/CALLERS/MEASURE`. */
export function figuresIn(
  prefix: string,
  callers: number,
  measured: ReadonlyMap<string, Figures<CallSample>>,
): Record<string, number> {
  return Object.fromEntries(
    [...measured].flatMap(([name, each]) =>
      Object.entries(each).map(([measure, { median }]) => [
        `${prefix}/${name}/${callers}/${measure}`,
        median,
      ]),
    ),
  );
}

export async function run(context: Context): Promise<Outcome> {
  const { quick, profiling, log } = context;
  const [rounds, ms] = quick ? [1, 60] : [5, 700];
  const cluster = await startCluster(context, "calls", ["reused"]);
  const limits: [string, Server][] = [
    ["L, one process", await startLimit(1)],
    [`L, ${PROCESSES} processes`, await startLimit(quick ? 1 : PROCESSES)],
  ];
  const loader = new Worker<Task, Measured>("load");
  const tables: Table[] = [];
  const figures: Record<string, number> = {};
  const notes: string[] = [];
  let measured: Span | undefined;
  try {
    const ways = profiledOf(waysOf(cluster, limits), ({ name }) => name, context);
    for (const callers of quick ? [2] : CALLERS) {
      log(`calls: ${callers} callers`);
      // Each caller needs a process that waits for it.
      for (const { task } of ways) await loader.run({ ...task, callers, calls: callers * 4 });
      const subjects = ways.map((way) => ({
        name: way.name,
        measure: () => measureCalls(loader, { ...way.task, callers, ms }, way),
      }));
      const from = monotonicUs();
      const seen = await inTurns(subjects, rounds, (name, error) =>
        notes.push(`${name}, ${callers} callers: ${(error as Error).message}`),
      );
      const title = `${callers === 1 ? "1 caller" : `${callers} callers`}, reused function`;
      measured = { from: measured?.from ?? from, to: monotonicUs() };
      tables.push(tableOf(title, seen, `L, ${PROCESSES} processes`));
      Object.assign(figures, figuresIn("calls", callers, seen));
    }
  } finally {
    await loader.end();
    await Promise.all([cluster.end(), ...limits.map(([, limit]) => limit.end())]);
  }
  return { tables, figures, notes, ...(profiling && measured && { measured }) };
}
