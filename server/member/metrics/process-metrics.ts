/** The metrics of the process, which all members in it share. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** The event loop is looked at 50 times a second. */
const LAG_RESOLUTION_MS = 20;
const NS_PER_S = 1e9;

/**
 * Metrics of the library that take time for each open connection, or repeat another one. Its lag of
 * the event loop has the interval of its own timer in it.
 */
const LEFT_OUT = /^nodejs_(active_|heap_space_|version_info|eventloop_lag_)/;

let registry: Registry | undefined;

/** The registry of the process. It measures from the first call on, so nobody pays before. */
export function processMetrics(): Registry {
  if (registry) return registry;
  registry = new Registry();
  // The library's own timer of the lag, which nothing reads, wakes once a second.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1_000 });
  for (const { name } of registry.getMetricsAsArray())
    if (LEFT_OUT.test(name)) registry.removeSingleMetric(name);
  addLag(registry);
  return registry;
}

/** Two windows of the lag: any scrape sees the last 30 to 60 seconds, whoever else scrapes. */
const LAG_WINDOW_MS = 30_000;
const PERCENTILES = [50, 99, 100] as const;

function addLag(registry: Registry): void {
  const delays = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  delays.enable();
  const lags = () =>
    PERCENTILES.map((percentile) => {
      const seconds = delays.percentile(percentile) / NS_PER_S - LAG_RESOLUTION_MS / 1_000;
      return Math.max(0, seconds);
    });
  let before = [0, 0, 0];
  setInterval(() => {
    before = lags();
    delays.reset();
  }, LAG_WINDOW_MS).unref();
  new Gauge({
    name: "dpool_event_loop_lag_seconds",
    help: "How late the event loop was in the last 30 to 60 s; `percentile` 100: at the most.",
    labelNames: ["percentile"],
    registers: [registry],
    collect() {
      for (const [index, seconds] of lags().entries())
        this.labels(String(PERCENTILES[index])).set(Math.max(seconds, before[index] ?? 0));
    },
  });
}
