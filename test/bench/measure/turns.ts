/** Rounds in turns: other load on the machine falls on all subjects alike. */

import type { Context, Figure } from "../benchmark.ts";
import { figureOf } from "./statistics.ts";

/** Now, in microseconds of the clock of a {@link Span}. */
export const monotonicUs = () => Number(process.hrtime.bigint() / 1_000n);

/**
 * The subjects that a run measures: with profiles, the one that is profiled.
 *
 * @throws where no subject has that name.
 */
export function profiledOf<T>(
  subjects: readonly T[],
  nameOf: (subject: T) => string,
  { profiling }: Context,
): readonly T[] {
  if (!profiling) return subjects;
  const found = subjects.filter((each) => nameOf(each) === profiling.way);
  if (found.length > 0) return found;
  const names = subjects.map((each) => `"${nameOf(each)}"`).join(", ");
  throw new Error(`expected one of ${names}; got "${profiling.way}"`);
}

/** The samples of one round, by name. */
export type Sample = Readonly<Record<string, number>>;
export type Figures<S extends Sample> = { readonly [name in keyof S]: Figure };

export interface Subject<S extends Sample> {
  readonly name: string;
  /** One round of it. */
  measure(): Promise<S>;
}

/**
 * Measures all subjects, A B C A B C …, and answers the figures of each by its name. A subject that
 * throws is left out of the rest, and `onFault` hears of it.
 */
export async function inTurns<S extends Sample>(
  subjects: readonly Subject<S>[],
  rounds: number,
  onFault: (name: string, error: unknown) => void,
): Promise<Map<string, Figures<S>>> {
  const samples = new Map<string, S[]>();
  const broken = new Set<string>();
  for (let round = 0; round < rounds; round++)
    for (const { name, measure } of subjects) {
      if (broken.has(name)) continue;
      try {
        samples.set(name, [...(samples.get(name) ?? []), await measure()]);
      } catch (error) {
        broken.add(name);
        onFault(name, error);
      }
    }
  return new Map([...samples].map(([name, each]) => [name, figuresOf(each)]));
}

function figuresOf<S extends Sample>(samples: readonly S[]): Figures<S> {
  const names = Object.keys(samples[0] ?? {});
  const entries = names.map((name) => [
    name,
    figureOf(samples.map((each) => each[name] as number)),
  ]);
  return Object.fromEntries(entries) as Figures<S>;
}
