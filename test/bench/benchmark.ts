/** The shape of a benchmark, and of its outcome. */

/** The median of several rounds, with the least and the most of them. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export type Cell = string | number | Figure;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Microseconds of the system's monotonic clock, which all processes and their profiles share. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The profiles of members that a run writes. */
export interface Profiling {
  readonly folder: string;
  /** The way of calling that is profiled, as the tables name it. The others do not run. */
  readonly way: string;
}

export interface Outcome {
  readonly tables: readonly Table[];
  /** Numbers by name, from which the aims and the chart are made. */
  readonly figures?: Readonly<Record<string, number>>;
  /** When it measured: the time to which profiles are cut. Default: the whole run. */
  readonly measured?: Span;
  /** Sentences below the tables: reasons for which a subject was skipped, and explanations. */
  readonly notes?: readonly string[];
}

export interface Context {
  /** Few rounds and calls: the benchmark shows that it works, and its figures mean nothing. */
  readonly quick: boolean;
  /** Default: no profiles. */
  readonly profiling?: Profiling | undefined;
  /** Shows progress. */
  log(line: string): void;
}

export interface Benchmark {
  readonly name: string;
  /** One sentence for `--list`. */
  readonly about: string;
  /** Whether a run without `--only` includes it. */
  readonly byDefault: boolean;
  /** Whether the smoke run includes it. */
  readonly inQuick: boolean;
  run(context: Context): Promise<Outcome>;
}
