/** The messages between a benchmark and the process that loads the servers. */
import { ascending, mean, quantile } from "../measure/statistics.ts";

/** Calls to one server, made by a number of callers, each of which calls again and again. */
export interface Task {
  /** `http://127.0.0.1:PORT`. Several are taken by turns. */
  readonly urls: readonly string[];
  readonly path: string;
  readonly body: object;
  /** Default `text/event-stream`. */
  readonly accept?: string;
  readonly callers: number;
  /** Calls in all. Default: as many as `ms` allows. */
  readonly calls?: number;
  /** Milliseconds for which callers begin new calls. Default: until `calls` are made. */
  readonly ms?: number;
  /** A text that a good answer holds. */
  readonly expected: string;
}

export interface Measured {
  readonly [name: string]: number | Readonly<Record<string, number>>;
  /** Calls with a good answer. */
  readonly good: number;
  readonly perSecond: number;
  /** Milliseconds from the request to the end of its answer. */
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
  readonly max: number;
  /** The processor time of the loading process in milliseconds. */
  readonly cpuMs: number;
  /** How many calls failed, by the code of the problem. */
  readonly failures: Readonly<Record<string, number>>;
}

/**
 * The figures of calls that have ended.
 *
 * @param calls the milliseconds of each good call, and the failures by code.
 * @param began the time and the used processor time before the first call.
 */
export function measured(
  {
    times,
    failures,
  }: { readonly times: readonly number[]; readonly failures: Measured["failures"] },
  { start, cpu }: { readonly start: number; readonly cpu: NodeJS.CpuUsage },
): Measured {
  const seconds = (performance.now() - start) / 1_000;
  const used = process.cpuUsage(cpu);
  const sorted = ascending(times);
  return {
    good: times.length,
    perSecond: times.length / seconds,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    mean: mean(times),
    max: sorted.at(-1) ?? Number.NaN,
    cpuMs: (used.user + used.system) / 1_000,
    failures,
  };
}
