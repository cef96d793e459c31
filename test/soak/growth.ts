/** Whether a process that lives on holds more and more. A pure function of samples. */

/** What a process held at one time. */
export interface Sample {
  readonly member: string;
  readonly pid: number;
  readonly at: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly descriptors: number;
}

type Measure = "rssBytes" | "heapBytes" | "descriptors";

const MIB = 1024 * 1024;
/** Growth beyond both the factor and the amount is a leak. */
const ALLOWED: Readonly<Record<Measure, { readonly factor: number; readonly more: number }>> = {
  rssBytes: { factor: 1.5, more: 64 * MIB },
  heapBytes: { factor: 1.5, more: 32 * MIB },
  descriptors: { factor: 1.5, more: 32 },
};
/** 5 minutes of samples. A process that lives for less has more or fewer connections by chance. */
const LEAST_SAMPLES = 60;

/** Low values: what is left after a collection of garbage, and between bursts of calls. */
function low(samples: readonly Sample[], measure: Measure): number {
  const values = samples.map((sample) => sample[measure]).sort((one, other) => one - other);
  return values[Math.floor(values.length / 4)] ?? 0;
}

/**
 * Compares the last quarter of each process's samples with the second one; the first is its start.
 *
 * @returns a line for each measure that has grown too much.
 */
export function growthOf(samples: readonly Sample[]): string[] {
  const processes = Map.groupBy(samples, ({ member, pid }) => `${member} (process ${pid})`);
  return [...processes].flatMap(([process, all]) => {
    if (all.length < LEAST_SAMPLES) return [];
    const quarter = Math.floor(all.length / 4);
    const [early, lately] = [all.slice(quarter, 2 * quarter), all.slice(-quarter)];
    return (Object.keys(ALLOWED) as Measure[]).flatMap((measure) => {
      const { factor, more } = ALLOWED[measure];
      const [before, after] = [low(early, measure), low(lately, measure)];
      return after > before * factor && after > before + more
        ? [`${process}: ${measure} grew from ${before} to ${after}`]
        : [];
    });
  });
}
