/** Statistics of samples. Pure. */
import type { Figure } from "../benchmark.ts";

/** The value below which `part` of the samples lie, by the nearest rank. NaN without samples. */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export const ascending = (values: readonly number[]) => values.toSorted((a, b) => a - b);

export const median = (values: readonly number[]) => quantile(ascending(values), 0.5);

export const mean = (values: readonly number[]) =>
  values.reduce((sum, each) => sum + each, 0) / values.length;

/** The median of the rounds, with their least and most. */
export function figureOf(rounds: readonly number[]): Figure {
  const sorted = ascending(rounds);
  return {
    median: quantile(sorted, 0.5),
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}
