/** The benchmarks, in the order of their runs. */
import type { Benchmark } from "./benchmark.ts";

export const CATALOGUE: readonly Benchmark[] = [
  {
    name: "calls",
    about: "reused functions beside the limit L: directly and through a gateway",
    byDefault: true,
    inQuick: true,
    run: async (context) => (await import("./paths/calls.ts")).run(context),
  },
];
