/** One span: a timed part of a call, which is exported at its end. */
import type { Attributes, HrTime, SpanContext, SpanKind, SpanStatus } from "@opentelemetry/api";
import type { ReadableSpan, TimedEvent } from "@opentelemetry/sdk-trace";
import { randomDigits } from "../../openapi/names.ts";
import type { TraceContext } from "../../sdk/typescript/trace/trace-context.ts";

/** The parts that all spans of a member share, and the way out for a span that has ended. */
export interface Exporting extends Pick<ReadableSpan, "resource" | "instrumentationScope"> {
  onEnd(span: ReadableSpan): void;
  /** Milliseconds from the clock of `performance.now()` to the time since the epoch. */
  readonly offsetMs: number;
}

/** The kinds of spans, as the API numbers them: inside this process, and of a request to it. */
export const INTERNAL: SpanKind = 0;
export const SERVER: SpanKind = 1;

const UNSET: SpanStatus = { code: 0 };
const ERROR: SpanStatus["code"] = 2;
/** 16 events of a span at most, such as members that refused. */
const MAX_EVENTS = 16;

let spareId = "";

/** 16 hexadecimal digits, not all of them 0: a UUID has fixed bits in both halves. */
export function newSpanId(): string {
  if (spareId !== "") {
    const id = spareId;
    spareId = "";
    return id;
  }
  const digits = randomDigits();
  spareId = digits.slice(16);
  return digits.slice(0, 16);
}

/** The time of a span: seconds, and nanoseconds, since the epoch. */
function timeOf(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1_000);
  return [seconds, Math.round((epochMs - seconds * 1_000) * 1_000_000)];
}

/** The headers that name a span. */
export function headersOf({ traceId, spanId, traceFlags, traceState }: SpanContext): TraceContext {
  const flags = traceFlags.toString(16).padStart(2, "0");
  return {
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    tracestate: traceState?.serialize(),
  };
}

export interface SpanOptions {
  readonly name: string;
  readonly kind: SpanKind;
  readonly context: SpanContext;
  readonly parent: SpanContext | undefined;
  /** A time of `performance.now()`. */
  readonly startMs: number;
  readonly attributes: Attributes;
}

/**
 * A span of a trace that is sampled. It is the object that the exporter reads, so that a call costs
 * no second set of objects. Its methods do nothing once it has ended.
 */
export class Span implements ReadableSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly parentSpanContext?: SpanContext;
  readonly attributes: Attributes;
  readonly events: TimedEvent[] = [];
  readonly links: [] = [];
  readonly droppedAttributesCount = 0;
  readonly droppedLinksCount = 0;
  droppedEventsCount = 0;
  status = UNSET;
  ended = false;
  /** A time of `performance.now()`, as all times here. It may change until the end. */
  startMs: number;
  #endMs = 0;
  readonly #context: SpanContext;
  readonly #exporting: Exporting;

  constructor(exporting: Exporting, options: SpanOptions) {
    this.#exporting = exporting;
    this.#context = options.context;
    this.name = options.name;
    this.kind = options.kind;
    if (options.parent) this.parentSpanContext = options.parent;
    this.startMs = options.startMs;
    this.attributes = options.attributes;
  }

  /** A span below this one. @param startMs default: now. */
  child(name: string, attributes: Attributes = {}, startMs = performance.now()): Span {
    return this.#below(this.#context, { name, attributes, startMs });
  }

  /** A span below the parent of this one, which is in this process. */
  sibling(name: string, startMs: number): Span {
    return this.#below(this.parentSpanContext, { name, attributes: {}, startMs });
  }

  /** The headers by which work elsewhere joins below this span. */
  get headers(): TraceContext {
    return headersOf(this.#context);
  }

  /** Notes a moment in the span. */
  event(name: string, attributes: Attributes): void {
    if (this.ended) return;
    if (this.events.length >= MAX_EVENTS) this.droppedEventsCount++;
    else this.events.push({ name, attributes, time: this.#timeOf(performance.now()) });
  }

  /** Adds attributes to the span. */
  set(attributes: Attributes): void {
    if (!this.ended) Object.assign(this.attributes, attributes);
  }

  /** Marks the span as failed. @param code a stable word, such as the code of a problem. */
  fail(code: string): void {
    if (this.ended) return;
    this.attributes["error.type"] = code;
    this.status = { code: ERROR };
  }

  /** Ends the span, which is exported then. */
  end(endMs = performance.now()): void {
    if (this.ended) return;
    this.ended = true;
    this.#endMs = Math.max(endMs, this.startMs);
    this.#exporting.onEnd(this);
  }

  spanContext(): SpanContext {
    return this.#context;
  }

  get startTime(): HrTime {
    return this.#timeOf(this.startMs);
  }

  get endTime(): HrTime {
    return this.#timeOf(this.#endMs);
  }

  get duration(): HrTime {
    return timeOf(this.#endMs - this.startMs);
  }

  get resource(): ReadableSpan["resource"] {
    return this.#exporting.resource;
  }

  get instrumentationScope(): ReadableSpan["instrumentationScope"] {
    return this.#exporting.instrumentationScope;
  }

  #timeOf(ms: number): HrTime {
    return timeOf(ms + this.#exporting.offsetMs);
  }

  #below(
    parent: SpanContext | undefined,
    span: Pick<SpanOptions, "name" | "attributes" | "startMs">,
  ): Span {
    const context = { ...this.#context, spanId: newSpanId() };
    return new Span(this.#exporting, { ...span, kind: INTERNAL, context, parent });
  }
}
