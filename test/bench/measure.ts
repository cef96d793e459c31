/** What the benchmarks share. */

/**
 * The median times of each of the runs, in milliseconds, taken in turns: whatever else the machine
 * does falls on all alike.
 *
 * @param warmUp rounds before, which do not count.
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
