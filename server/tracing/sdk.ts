/** OpenTelemetry's SDK samples traces, and sends spans in batches. Only its users load it. */
import {
  createTraceState,
  ROOT_CONTEXT,
  type SpanContext,
  type SpanKind,
  type TraceState,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import { countIn, type SamplerChoice, samplerOf, type Variables } from "./environment.ts";
import { PerSecondSampler } from "./per-second-sampler.ts";
import type { Exporting } from "./span.ts";

/** A failure to send spans is told once a minute. */
const TELL_MS = 60_000;

interface Candidate {
  readonly name: string;
  readonly kind: SpanKind;
  readonly parent: SpanContext | undefined;
}

export interface OpenedSdk extends Exporting {
  offsetMs: number;
  sample(
    traceId: string,
    span: Candidate,
  ): { readonly isSampled: boolean; readonly traceState: TraceState | undefined };
  traceState(text: string): TraceState;
  close(): Promise<void>;
}

export function openSdk(
  env: Variables,
  {
    name,
    version,
    log,
  }: { readonly name: string; readonly version: string; log(message: string): void },
): OpenedSdk {
  const sampler = samplerFor(samplerOf(env, log));
  const exporter = telling(new OTLPTraceExporter(), log);
  const processor = new BatchSpanProcessor({ exporter, ...batchesOf(env, log) });
  const own = {
    "service.name": "distributed-pool",
    "service.version": version,
    "service.instance.id": name,
  };
  return {
    resource: defaultResource()
      .merge(resourceFromAttributes(own))
      .merge(detectResources({ detectors: [envDetector] })),
    instrumentationScope: { name: "distributed-pool", version },
    offsetMs: performance.timeOrigin,
    onEnd: (span) => processor.onEnd(span),
    sample(traceId, { name, kind, parent }) {
      const context = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
      const result = sampler.shouldSample(context, traceId, name, kind, {}, []);
      return {
        isSampled: result.decision === SamplingDecision.RECORD_AND_SAMPLED,
        traceState: result.traceState ?? parent?.traceState,
      };
    },
    traceState: createTraceState,
    // Spans that cannot be sent are lost; the exporter has told why.
    close: () => processor.shutdown().catch(() => {}),
  };
}

/** The bounds of the batches: 2,048 spans wait at most, and 512 leave at once, by default. */
function batchesOf(env: Variables, log: (message: string) => void) {
  const variables = {
    maxQueueSize: "OTEL_BSP_MAX_QUEUE_SIZE",
    maxExportBatchSize: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    scheduledDelayMillis: "OTEL_BSP_SCHEDULE_DELAY",
    exportTimeoutMillis: "OTEL_BSP_EXPORT_TIMEOUT",
  };
  const counts = Object.entries(variables).map(([key, name]) => [key, countIn(env, name, log)]);
  return Object.fromEntries(counts.filter(([, count]) => count !== undefined));
}

function samplerFor({ root, isParentBased, ratio }: SamplerChoice): Sampler {
  const roots = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
    per_second: () => new PerSecondSampler(),
  };
  const sampler = roots[root]();
  return isParentBased ? new ParentBasedSampler({ root: sampler }) : sampler;
}

/** The exporter, which tells of failures: the SDK keeps them to itself. */
function telling(exporter: SpanExporter, log: (message: string) => void): SpanExporter {
  let toldMs = Number.NEGATIVE_INFINITY;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const nowMs = performance.now();
        if (result.error && nowMs - toldMs >= TELL_MS) {
          toldMs = nowMs;
          log(`${spans.length} spans could not be sent: ${result.error.message}`);
        }
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  };
}
