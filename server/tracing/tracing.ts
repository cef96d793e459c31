/**
 * The traces of a member. Without tracing, a request costs one look at its headers: a caller's
 * trace context passes on to the child as it came.
 */
import type { Attributes, SpanContext } from "@opentelemetry/api";
import { randomDigits } from "../../openapi/names.ts";
import { within } from "../../sdk/typescript/time/within.ts";
import type { TraceContext } from "../../sdk/typescript/trace/trace-context.ts";
import { askedFor } from "./environment.ts";
import type { OpenedSdk } from "./sdk.ts";
import { newSpanId, SERVER, Span } from "./span.ts";

/** 2 seconds for the last spans to leave when the member stops. */
const FLUSH_TIMEOUT_MS = 2_000;

/** 1 millisecond: a clock that was set makes a larger difference than reading it. */
const MAX_DRIFT_MS = 1;

/** The place of a request in its trace. */
export interface Trace {
  /** Goes on with the work, unless `span` does. Undefined where the request is in no trace. */
  readonly context: TraceContext | undefined;
  /** The span of the request; undefined where nothing is recorded. */
  readonly span: Span | undefined;
}

const NO_TRACE: Trace = { context: undefined, span: undefined };

/** Reads a header of a request, by its name in lower case. */
type Header = (name: string) => string | undefined;

/** Version, trace, span and flags. Neither id is all zeros, and there is no version ff. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}/;
/** The characters of a `traceparent` of version 00. A newer version may have more. */
const TRACEPARENT_LENGTH = 55;
/** 512 characters of `tracestate`, which W3C asks everyone to pass on at least. */
const TRACESTATE = /^[\t -~]{1,512}$/;

/** The caller's trace context. W3C asks to ignore a malformed one. */
export function contextIn(header: Header): TraceContext | undefined {
  const given = header("traceparent");
  if (given === undefined || !TRACEPARENT.test(given)) return undefined;
  const rest = given.slice(TRACEPARENT_LENGTH);
  if (rest !== "" && (given.startsWith("00") || !rest.startsWith("-"))) return undefined;
  const tracestate = header("tracestate");
  return {
    traceparent: `00${given.slice(2, TRACEPARENT_LENGTH)}`,
    tracestate: tracestate && TRACESTATE.test(tracestate) ? tracestate : undefined,
  };
}

export class Tracing {
  readonly #sdk: OpenedSdk | undefined;

  /** @param sdk exports the spans; undefined where nothing is recorded. */
  constructor(sdk?: OpenedSdk) {
    this.#sdk = sdk;
  }

  /**
   * Begins the part of a trace that belongs to one request. The sampler decides whether it is
   * recorded, and its decision goes on with the work of a caller that has a trace.
   *
   * @param header of the request, for the caller's trace context.
   */
  begin(name: string, header: Header, attributes: () => Attributes): Trace {
    const given = contextIn(header);
    const sdk = this.#sdk;
    if (!sdk) return given ? { context: given, span: undefined } : NO_TRACE;
    const startMs = performance.now();
    const drift = Date.now() - startMs - sdk.offsetMs;
    if (drift > MAX_DRIFT_MS || drift < -2 * MAX_DRIFT_MS) sdk.offsetMs += drift;
    const parent = given && parentOf(given, sdk);
    const traceId = parent?.traceId ?? randomDigits();
    const { isSampled, traceState } = sdk.sample(traceId, { name, kind: SERVER, parent });
    if (!isSampled) return given ? { context: unsampled(given), span: undefined } : NO_TRACE;
    const context = { traceId, spanId: newSpanId(), traceFlags: 1, traceState } as SpanContext;
    const options = { name, kind: SERVER, attributes: attributes(), startMs, parent };
    return { context: undefined, span: new Span(sdk, { ...options, context }) };
  }

  /** Sends the last spans, for 2 seconds at most. */
  async close(): Promise<void> {
    await within(FLUSH_TIMEOUT_MS, this.#sdk?.close() ?? Promise.resolve());
  }
}

/** The same place in a trace that is not recorded. */
function unsampled(context: TraceContext): TraceContext {
  const flags = Number.parseInt(context.traceparent.slice(-2), 16) & ~1;
  const head = context.traceparent.slice(0, -2);
  return { ...context, traceparent: head + flags.toString(16).padStart(2, "0") };
}

function parentOf({ traceparent, tracestate }: TraceContext, sdk: OpenedSdk): SpanContext {
  return {
    traceId: traceparent.slice(3, 35),
    spanId: traceparent.slice(36, 52),
    traceFlags: Number.parseInt(traceparent.slice(53, 55), 16),
    isRemote: true,
    ...(tracestate !== undefined && { traceState: sdk.traceState(tracestate) }),
  };
}

/**
 * Opens the traces of a member. OpenTelemetry's SDK is loaded where the variables ask for traces.
 *
 * @param env the variables `OTEL_…` of this process; undefined for no traces.
 */
export async function openTracing(
  env: Readonly<Record<string, string | undefined>> | undefined,
  member: {
    readonly name: string;
    readonly version: string;
    log(message: string): void;
  },
): Promise<Tracing> {
  if (!env || !askedFor(env, member.log)) return new Tracing();
  const { openSdk } = await import("./sdk.ts");
  return new Tracing(openSdk(env, member));
}
