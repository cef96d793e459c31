/** The messages between a benchmark and the process that loads the servers. */

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
