/** The place of a request in a trace: the headers of W3C Trace Context. */

/** The headers that name the span to which the work of a request belongs. */
export interface TraceContext {
  /** Version, trace id, span id and flags, such as `00-4bf9…-00f0…-01`. */
  readonly traceparent: string;
  /** The entries of tracing systems, as they wrote them. Default: none. */
  readonly tracestate?: string | undefined;
}

/** The headers of a request with this context. */
export function traceHeaders(context: TraceContext | undefined): Record<string, string> {
  if (!context) return {};
  const { traceparent, tracestate } = context;
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

/** The part of the registry of `@opentelemetry/api` that tells the active span. */
interface Registry {
  readonly context?: { active(): unknown };
  readonly propagation?: { inject(context: unknown, carrier: object, setter: object): void };
}

/**
 * The key under which every copy of `@opentelemetry/api` 1.x finds what the program registered.
 * So this package needs no dependency on it.
 */
const REGISTRY = Symbol.for("opentelemetry.js.api.1");

const SETTER = {
  set(carrier: Record<string, string>, name: string, value: string) {
    carrier[name] = value;
  },
};

/** The context of the program's active span; undefined without OpenTelemetry or such a span. */
export function activeTrace(): TraceContext | undefined {
  const { context, propagation } =
    (globalThis as { [REGISTRY]?: Registry })[REGISTRY] ?? ({} as Registry);
  if (!context || !propagation) return undefined;
  const carrier: Record<string, string> = {};
  try {
    propagation.inject(context.active(), carrier, SETTER);
  } catch {
    // A propagator of the program's own may throw. The call goes on without its trace.
  }
  const { traceparent, tracestate } = carrier;
  return traceparent === undefined ? undefined : { traceparent, tracestate };
}
