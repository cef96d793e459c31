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

function addLag(registry: Registry): void {
  const delays = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  delays.enable();
  new Gauge({
    name: "dpool_event_loop_lag_seconds",
    help: "How late the event loop was since the last scrape. `percentile` 100 is the longest lag.",
    labelNames: ["percentile"],
    registers: [registry],
    collect() {
      for (const percentile of [50, 99, 100]) {
        const seconds = delays.percentile(percentile) / NS_PER_S - LAG_RESOLUTION_MS / 1_000;
        this.labels(String(percentile)).set(Math.max(0, seconds));
      }
      delays.reset();
    },
  });
}
