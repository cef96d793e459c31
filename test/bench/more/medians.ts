/** Measuring that the benchmarks share. */

/**
 * The median time of each run, in milliseconds. The runs take turns, so that other load on the
 * machine falls on all alike.
 *
 * @param warmUp rounds before the measured ones.
 */
export async function medians(
  runs: readonly (() => Promise<unknown>)[],
  rounds: number,
  warmUp: number,
): Promise<number[]> {
  const times: number[][] = runs.map(() => []);
  for (let round = -warmUp; round < rounds; round++) {
    for (const [index, run] of runs.entries()) {
      const start = performance.now();
      await run();
      if (round >= 0) times[index]?.push(performance.now() - start);
    }
  }
  return times.map((each) => each.sort((x, y) => x - y)[Math.floor(each.length / 2)] ?? Number.NaN);
}
