/** Lets others have their turn in a loop that would hold the event loop. */

/** 5 ms. */
const HOLD_MS = 5;

/**
 * A pause for a long loop. It resolves at once, or after the others' turn when 5 ms have passed
 * since it last did so.
 *
 * @example
 * const turn = turns();
 * for (const item of items) {
 *   work(item);
 *   await turn();
 * }
 */
export function turns(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < HOLD_MS) return undefined;
    return new Promise((resolve) =>
      setTimeout(() => {
        since = performance.now();
        resolve();
      }),
    );
  };
}
