/** The metrics of a member: one entry is the source of its name, labels, text and row. */

interface MetricEntry {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels?: readonly string[];
  /** The upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[];
}

/** From 1 millisecond to 5 minutes. */
const WAIT_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 10, 30, 60, 300];
/** From 1 millisecond to 1 hour. */
const RUN_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600];
/** From 1 millisecond to 10 seconds. */
const START_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/**
 * The values of labels are few: pools, runtimes, kinds and codes. No caller, no child and no label
 * of a child is among them.
 */
export const METRICS = {
  dpool_build_info: {
    type: "gauge",
    labels: ["version", "node_version", "member", "sandbox"],
    help: "1. The labels tell the version of the member and of Node, and its sandbox level.",
  },
  dpool_member_ready: {
    type: "gauge",
    help: "1 while `/readyz` answers 200, otherwise 0.",
  },
  dpool_member_draining: {
    type: "gauge",
    help: "1 while the member drains, otherwise 0.",
  },
  dpool_registry_up: {
    type: "gauge",
    help: "1 while Consul takes the heartbeats of the member, otherwise 0. Without Consul: 1.",
  },
  dpool_slots: {
    type: "gauge",
    labels: ["pool"],
    help: "The slots of the pool on this member.",
  },
  dpool_slots_used: {
    type: "gauge",
    labels: ["pool"],
    help: "The slots that running children hold.",
  },
  dpool_queue_length: {
    type: "gauge",
    labels: ["pool"],
    help: "The callers that wait for a slot of this member.",
  },
  dpool_pool_sick: {
    type: "gauge",
    labels: ["pool"],
    help: "1 while the sandbox can start no children of the pool, otherwise 0.",
  },
  dpool_pool_fenced: {
    type: "gauge",
    labels: ["pool"],
    help: "1 while the fence of the pool is up, otherwise 0.",
  },
  dpool_children_placed_total: {
    type: "counter",
    labels: ["pool"],
    help: "Children that got a slot.",
  },
  dpool_children_ended_total: {
    type: "counter",
    labels: ["pool", "kind", "ending", "code"],
    help:
      "Children that ended. `ending`: `succeeded`, `exited` with a code other than 0, or " +
      "`failed` with the `code` of the problem.",
  },
  dpool_refusals_total: {
    type: "counter",
    labels: ["pool", "code"],
    help: "Requests that started no child on this member, by the code of the refusal.",
  },
  dpool_placement_tries_total: {
    type: "counter",
    labels: ["outcome"],
    help:
      "Requests of this member as a gateway to one member for an admission: `admitted`, `full`, " +
      "`unreachable` or `failed`.",
  },
  dpool_child_wait_seconds: {
    type: "histogram",
    labels: ["pool"],
    buckets: WAIT_SECONDS,
    help: "Seconds from the request for a slot to the slot.",
  },
  dpool_child_start_seconds: {
    type: "histogram",
    labels: ["pool"],
    buckets: START_SECONDS,
    help: "Seconds from the slot to the program: the start of the sandbox.",
  },
  dpool_child_run_seconds: {
    type: "histogram",
    labels: ["pool"],
    buckets: RUN_SECONDS,
    help: "Seconds from the slot to the end of the child.",
  },
  dpool_output_bytes_total: {
    type: "counter",
    labels: ["pool"],
    help: "Bytes that children wrote to stdout and stderr.",
  },
  dpool_streams_open: {
    type: "gauge",
    help: "The streams that callers have open here, for output and for input.",
  },
  dpool_warm_processes: {
    type: "gauge",
    labels: ["pool", "runtime"],
    help:
      "The processes that wait for a call, by runtime. `command` are sandboxes for commands, and " +
      "`reuse` are processes that wait for a further call of their caller.",
  },
  dpool_warm_hits_total: {
    type: "counter",
    labels: ["pool", "runtime"],
    help: "Calls that a waiting process took, with the same labels.",
  },
} as const satisfies Readonly<Record<string, MetricEntry>>;

export type MetricName = keyof typeof METRICS;
