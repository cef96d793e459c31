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

export interface Outcome {
  readonly tables: readonly Table[];
  /** Numbers by name, from which the aims and the chart are made. */
  readonly figures?: Readonly<Record<string, number>>;
  /** Sentences below the tables: reasons for which a subject was skipped, and explanations. */
  readonly notes?: readonly string[];
}

export interface Context {
  /** Few rounds and calls: the benchmark shows that it works, and its figures mean nothing. */
  readonly quick: boolean;
  /** The folder of the profiles of members; undefined without `--profile`. */
  readonly profiles?: string | undefined;
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
