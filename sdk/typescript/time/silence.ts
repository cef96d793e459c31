/**
 * Runs `late` after `ms`, once this process has taken in what had arrived by then: a process that
 * was busy must not take its peer for dead.
 *
 * @param ms milliseconds.
 * @returns a function that cancels it.
 */
export function afterSilence(ms: number, late: () => void): () => void {
  let timer = setTimeout(() => {
    timer = setTimeout(late, 0);
  }, ms);
  return () => clearTimeout(timer);
}
