/** The last 30 minutes, as `GET /history` counts them: rates, percentiles, failures. */

/** Five minutes, in milliseconds: the span of a card's percentiles. */
const RECENT_MS = 300_000;

function add(into, counts) {
  for (const [at, count] of counts.entries()) into[at] = (into[at] ?? 0) + count;
}

/** The duration below which this share of the counts lies; undefined without any. */
export function percentile(counts, boundsMs, share) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let left = share * total;
  for (const [at, count] of counts.entries()) {
    if (left > count) {
      left -= count;
      continue;
    }
    const upper = boundsMs[at] ?? boundsMs.at(-1) * 3;
    const lower = boundsMs[at - 1] ?? upper / 3;
    // Bounds grow by a factor, so the place between them does too.
    return lower * (upper / lower) ** (left / count);
  }
  return boundsMs.at(-1);
}

/** p50 and p95 of wait and run in the last five minutes. */
export function recent(history, pool) {
  const found = history?.pools[pool];
  if (!found) return {};
  const steps = Math.ceil(RECENT_MS / history.stepMs);
  const over = (histograms) => {
    const sum = [];
    for (const counts of histograms.slice(-steps)) add(sum, counts);
    return (share) => percentile(sum, history.boundsMs, share);
  };
  const [wait, run] = [over(found.waits), over(found.runs)];
  return { waits: [wait(0.5), wait(0.95)], runs: [run(0.5), run(0.95)] };
}

/** Five minutes at least; before the first call there is nothing to see. */
const MIN_STEPS = 30;

/** The steps to show: up to `length`, from the first one with a call on. */
function stepsOf(pools, length) {
  const begins = pools.flatMap(({ placed, refused }) =>
    [placed, refused].map((counts) => counts.findIndex((count) => count > 0)),
  );
  const first = Math.min(length - MIN_STEPS, ...begins.filter((at) => at >= 0).map((at) => at - 1));
  return Array.from({ length: Math.max(0, length) }, (_, at) => at).slice(Math.max(0, first));
}

/** The sum of the pools, or of the one that is named, as series over time. */
export function series(history, only) {
  const pools = Object.entries(history.pools)
    .filter(([name]) => only === "" || name === only)
    .map(([, pool]) => pool);
  const firstMs = Date.parse(history.firstAt);
  const { stepMs, boundsMs } = history;
  // The last step is still being counted.
  const length = Math.max(0, ...pools.map(({ placed }) => placed.length)) - 1;
  const steps = stepsOf(pools, length);
  const sum = (key) =>
    steps.map((at) => pools.reduce((total, pool) => total + (pool[key][at] ?? 0), 0));
  const perSecond = (key) => sum(key).map((count) => count / (stepMs / 1_000));
  const share = (key, of) =>
    steps.map((at) => {
      const counts = [];
      for (const pool of pools) add(counts, pool[key][at] ?? []);
      return percentile(counts, boundsMs, of) ?? null;
    });
  const codes = [...new Set(pools.flatMap(({ failed }) => Object.keys(failed)))].sort();
  const failed = codes.map((code) =>
    steps.map((at) => pools.reduce((total, pool) => total + (pool.failed[code]?.[at] ?? 0), 0)),
  );
  return {
    times: steps.map((at) => (firstMs + (at + 1) * stepMs) / 1_000),
    placed: perSecond("placed"),
    ended: perSecond("ended"),
    queued: sum("queued"),
    runs50: share("runs", 0.5),
    runs95: share("runs", 0.95),
    waits95: share("waits", 0.95),
    codes,
    failed,
  };
}

/** Fills the counts of the last minute, from before the page was open. */
export function seed(minute, history) {
  const firstMs = Date.parse(history.firstAt);
  for (const { ended, failed } of Object.values(history.pools)) {
    for (let at = Math.max(0, ended.length - 6); at < ended.length; at++) {
      const failures = Object.values(failed).reduce((sum, counts) => sum + (counts[at] ?? 0), 0);
      minute.add(firstMs + at * history.stepMs, failures, ended[at]);
    }
  }
}
