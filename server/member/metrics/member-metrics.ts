/** Counts what a member does, in a registry of its own: a process may run several members. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { PoolError } from "../../../openapi/errors.ts";
import type { ChildInfo } from "../../../openapi/schemas/state/children.ts";
import type { Member } from "../../../sdk/typescript/placement/members.ts";
import type { Tried } from "../../../sdk/typescript/placement/try-member.ts";
import type { StreamLimit } from "../../access/rate-limit.ts";
import type { Membership } from "../../membership/membership.ts";
import type { ChildObserver } from "../../supervisor/observed/observer.ts";
import type { Supervisor } from "../../supervisor/supervisor.ts";
import { processMetrics } from "./process-metrics.ts";
import { METRICS, type MetricName } from "./table.ts";

/** The state of the member, which a scrape reads. */
export interface MetricSources {
  readonly self: Member;
  readonly pools: { readonly supervisors: ReadonlyMap<string, Supervisor> };
  readonly streamLimit: StreamLimit;
  readonly membership: Pick<Membership, "isReachable">;
  readonly hooks: { isDraining(): boolean; trouble(): string | undefined };
}

/** The metrics of one pool, with the label resolved: a call then counts without a search. */
interface PoolMetrics {
  readonly placed: Counter.Internal;
  readonly outputBytes: Counter.Internal;
  readonly wait: Histogram.Internal<string>;
  readonly start: Histogram.Internal<string>;
  readonly run: Histogram.Internal<string>;
  /** By kind, ending and code. */
  readonly ended: Map<string, Counter.Internal>;
}

/** Each series of these begins with 0 too. */
const TRIED: readonly Tried[] = ["admitted", "full", "unreachable", "failed"];
const USUAL_REFUSALS = ["at_capacity", "queue_timeout", "too_many_requests"];

/** The label of an error that is no problem of the contract. */
const UNKNOWN_CODE = "internal_error";

export class MemberMetrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #pools = new Map<string, PoolMetrics>();

  constructor() {
    for (const [name, { type, help, ...rest }] of Object.entries(METRICS)) {
      const labelNames = "labels" in rest ? rest.labels : [];
      const common = { name, help, labelNames, registers: [this.#registry] };
      if (type === "counter") this.#counters.set(name, new Counter(common));
      else if (type === "gauge") this.#gauges.set(name, new Gauge(common));
      else if ("buckets" in rest)
        this.#histograms.set(name, new Histogram({ ...common, buckets: [...rest.buckets] }));
    }
    for (const outcome of TRIED)
      this.#counter("dpool_placement_tries_total").labels(outcome).inc(0);
  }

  /** Counts the children. */
  readonly observer: ChildObserver = {
    placed: ({ reference }, waitedMs) => {
      const { placed, wait } = this.#pool(reference.pool);
      placed.inc();
      wait.observe(waitedMs / 1_000);
    },
    began: ({ reference }, startMs) => this.#pool(reference.pool).start.observe(startMs / 1_000),
    wrote: ({ reference }, bytes) => this.#pool(reference.pool).outputBytes.inc(bytes),
    ended: ({ info }) => {
      this.#pool(info.pool).run.observe((info.usage?.wallMs ?? 0) / 1_000);
      this.#ended(info).inc();
    },
    refused: (pool, error) => {
      const code = error instanceof PoolError ? error.code : UNKNOWN_CODE;
      this.#counter("dpool_refusals_total").labels(pool, code).inc();
    },
  };

  /** Counts a request of the gateway to one member. */
  readonly onTried = (outcome: Tried): void => {
    this.#counter("dpool_placement_tries_total").labels(outcome).inc();
  };

  /** All metrics in the text format of Prometheus, those of the process included. */
  async text(sources: MetricSources): Promise<string> {
    this.#sample(sources);
    const texts = [this.#registry, processMetrics()].map((registry) => registry.metrics());
    return (await Promise.all(texts)).join("\n");
  }

  #pool(pool: string): PoolMetrics {
    const known = this.#pools.get(pool);
    if (known) return known;
    const metrics: PoolMetrics = {
      placed: this.#counter("dpool_children_placed_total").labels(pool),
      outputBytes: this.#counter("dpool_output_bytes_total").labels(pool),
      wait: this.#histogram("dpool_child_wait_seconds").labels(pool),
      start: this.#histogram("dpool_child_start_seconds").labels(pool),
      run: this.#histogram("dpool_child_run_seconds").labels(pool),
      ended: new Map(),
    };
    // Each series begins with 0, so that a rate sees the first event.
    for (const counter of [metrics.placed, metrics.outputBytes]) counter.inc(0);
    for (const code of USUAL_REFUSALS)
      this.#counter("dpool_refusals_total").labels(pool, code).inc(0);
    for (const name of ["wait", "start", "run"] as const)
      this.#histogram(`dpool_child_${name}_seconds`).zero({ pool });
    this.#pools.set(pool, metrics);
    return metrics;
  }

  #ended({ pool, kind, code, exitCode }: ChildInfo): Counter.Internal {
    const ending = code !== null ? "failed" : exitCode ? "exited" : "succeeded";
    const { ended } = this.#pool(pool);
    const key = `${kind} ${ending} ${code}`;
    const known = ended.get(key);
    if (known) return known;
    const counter = this.#counter("dpool_children_ended_total").labels(
      pool,
      kind,
      ending,
      code ?? "",
    );
    ended.set(key, counter);
    return counter;
  }

  /** Reads the state that no event tells. */
  #sample({ self, pools, streamLimit, membership, hooks }: MetricSources): void {
    for (const gauge of this.#gauges.values()) gauge.reset();
    const { name: member, version, sandbox } = self;
    const node_version = process.versions.node;
    this.#gauge("dpool_build_info").labels({ version, node_version, member, sandbox }).set(1);
    this.#gauge("dpool_member_ready").set(Number(hooks.trouble() === undefined));
    this.#gauge("dpool_member_draining").set(Number(hooks.isDraining()));
    this.#gauge("dpool_registry_up").set(Number(membership.isReachable()));
    this.#gauge("dpool_streams_open").set(streamLimit.total);
    this.#counter("dpool_warm_hits_total").reset();
    for (const [pool, supervisor] of pools.supervisors) this.#samplePool(pool, supervisor);
  }

  #samplePool(pool: string, { slots, options }: Supervisor): void {
    this.#pool(pool);
    const { active, max, queued } = slots.load();
    this.#gauge("dpool_slots").labels(pool).set(max);
    this.#gauge("dpool_slots_used").labels(pool).set(active);
    this.#gauge("dpool_queue_length").labels(pool).set(queued);
    const isSick = options.startHealth?.trouble !== undefined;
    this.#gauge("dpool_pool_sick").labels(pool).set(Number(isSick));
    this.#gauge("dpool_pool_fenced")
      .labels(pool)
      .set(Number(options.fence?.isUp ?? false));
    const { idle, taken } = options.runtimes;
    const reuse = idle.reusable;
    for (const [runtime, count] of Object.entries({ ...idle.warm, reuse }))
      this.#gauge("dpool_warm_processes").labels(pool, runtime).set(count);
    for (const [runtime, count] of Object.entries(taken))
      this.#counter("dpool_warm_hits_total").labels(pool, runtime).inc(count);
  }

  #counter(name: MetricName): Counter {
    return this.#counters.get(name) as Counter;
  }

  #gauge(name: MetricName): Gauge {
    return this.#gauges.get(name) as Gauge;
  }

  #histogram(name: MetricName): Histogram {
    return this.#histograms.get(name) as Histogram;
  }
}
