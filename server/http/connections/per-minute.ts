/** Counts events, and reports the counts once a minute while there are any. */

const REPORT_INTERVAL_MS = 60_000;

/**
 * The first event is reported at once, later ones together a minute after the report before.
 *
 * @param report receives the number of each kind since the last report.
 * @returns a function that counts one event.
 */
export function perMinute<Kind extends string>(
  report: (counts: Partial<Record<Kind, number>>) => void,
): (kind: Kind) => void {
  let counts: Partial<Record<Kind, number>> = {};
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    timer = undefined;
    if (Object.keys(counts).length === 0) return;
    report(counts);
    counts = {};
    timer = setTimeout(flush, REPORT_INTERVAL_MS).unref();
  };
  return (kind) => {
    counts[kind] = (counts[kind] ?? 0) + 1;
    if (!timer) flush();
  };
}
