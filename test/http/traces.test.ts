/** Traces of calls, over gateway and member, in a real OpenTelemetry Collector. */
import {
  context,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  type Collector,
  collectorMissing,
  type SeenSpan,
  startCollector,
} from "../helpers/collector.ts";
import {
  callEvents,
  eventsOf,
  lastOf,
  type Options,
  post,
  startMembers,
  startOne,
  streamOf,
  textOf,
  within,
} from "../helpers/member.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";
const CALLER = `00-${TRACE_ID}-${SPAN_ID}-01`;
const SHOWS = { command: ["sh", "-c", 'echo "$TRACEPARENT,$TRACESTATE"'] };
const FUNCTION = { function: { source: "() => [process.pid, process.env.TRACEPARENT]" } };
const LOCAL = ["place", "admit", "start", "run", "deliver"];
const REMOTE = [...LOCAL, "deliver"];

/** The part of a propagator that a program registers, as much of it as the SDK uses. */
const W3C: TextMapPropagator = {
  inject(active, carrier, setter) {
    const span = trace.getSpanContext(active);
    if (span) setter.set(carrier, "traceparent", `00-${span.traceId}-${span.spanId}-01`);
  },
  extract: (active) => active,
  fields: () => ["traceparent"],
};

/** The variables of a member that sends its spans to this endpoint, soon after their end. */
function exportingTo(url: string): NonNullable<Options["otel"]> {
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", url);
  onTestFinished(() => void vi.unstubAllEnvs());
  return { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: "20" };
}

/** A gateway without the pool, and the member that has it. */
async function startTraced(url: string): Promise<[RunningMember, RunningMember]> {
  const otel = exportingTo(url);
  const members = await startMembers({ pools: { other: 1 }, otel }, { otel });
  return members as [RunningMember, RunningMember];
}

const isAny = ({ name }: SeenSpan) => name !== "wait";
const ofTrace = (traceId: string) => (span: SeenSpan) => isAny(span) && span.traceId === traceId;
const named = (spans: readonly SeenSpan[], name: string, member?: string) =>
  spans.find((span) => span.name === name && (!member || span.member === member)) as SeenSpan;

/**
 * The trace of the only call of a collector. On a busy machine, the moment between a slot and its
 * child may be a `wait`, which is left out.
 */
const onlyTrace = (collector: Collector, names: readonly string[]) => collector.trace(names, isAny);

describe.skipIf(collectorMissing)(
  `traces${collectorMissing ? ` (skipped: ${collectorMissing})` : ""}`,
  () => {
    test("a call through a gateway is one tree over both members", async () => {
      const collector = await startCollector();
      const [gateway] = await startTraced(collector.url);
      const spec = { command: ["echo", "secret-argument"] };
      lastOf(await callEvents(gateway.url, "/pools/pipeline/call", spec), "result");
      const spans = await onlyTrace(collector, REMOTE);
      const [place, admit, run] = ["place", "admit", "run"].map((name) => named(spans, name));
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
      expect(place).toMatchObject({ member: "m1", parentSpanId: "", kind: 2, isError: false });
      expect(admit).toMatchObject({ member: "m2", parentSpanId: place?.spanId, kind: 2 });
      for (const name of ["start", "run"])
        expect(named(spans, name)).toMatchObject({ member: "m2", parentSpanId: admit?.spanId });
      expect(named(spans, "deliver", "m1").parentSpanId).toBe(place?.spanId);
      expect(named(spans, "deliver", "m2").parentSpanId).toBe(admit?.spanId);
      expect(place?.attributes).toEqual({
        "http.request.method": "POST",
        "http.route": "/pools/{pool}/call",
        "pool.name": "pipeline",
        "pool.child.kind": "command",
        "pool.member": "m2",
        "pool.child.id": expect.stringMatching(/^m2\.[0-9a-f]{32}$/),
      });
      expect(run?.attributes["process.exit.code"]).toBe("0");
      expect(run?.service).toBe("distributed-pool");
      expect(JSON.stringify(collector.spans)).not.toContain("secret-argument");
    });

    test("a caller's trace goes on, and the child's own spans join it", async () => {
      const collector = await startCollector();
      const [gateway] = await startTraced(collector.url);
      const headers = { traceparent: CALLER, tracestate: "vendor=1" };
      const events = await callEvents(gateway.url, "/pools/pipeline/call", SHOWS, headers);
      const spans = await collector.trace(REMOTE, ofTrace(TRACE_ID));
      const [place, run] = [named(spans, "place"), named(spans, "run")];
      expect(place).toMatchObject({ parentSpanId: SPAN_ID, traceState: "vendor=1" });
      expect(textOf(events)).toBe(`00-${TRACE_ID}-${run.spanId}-01,vendor=1\n`);
    });

    test("a caller that samples nothing gets no spans, and its child the context", async () => {
      const collector = await startCollector();
      const [gateway] = await startTraced(collector.url);
      const traceparent = CALLER.replace(/01$/, "00");
      const unsampled = await callEvents(gateway.url, "/pools/pipeline/call", SHOWS, {
        traceparent,
      });
      expect(textOf(unsampled)).toBe(`${traceparent},\n`);
      await callEvents(gateway.url, "/pools/pipeline/call", SHOWS);
      await onlyTrace(collector, REMOTE);
    });

    test("each call of a reused process has its own span", async () => {
      const collector = await startCollector();
      const otel = exportingTo(collector.url);
      const { url } = await startOne({
        pools: { pipeline: { maxChildren: 1, reuse: true } },
        otel,
      });
      const call = async (headers = {}) => {
        const events = await callEvents(url, "/pools/pipeline/call", FUNCTION, headers);
        return lastOf(events, "result").value as [number, string];
      };
      const [[pid, first], [again, second]] = [await call(), await call({ traceparent: CALLER })];
      expect(again).toBe(pid);
      const spans = await collector.trace([...LOCAL, ...LOCAL], isAny);
      const runs = spans.filter(({ name }) => name === "run");
      const parents = runs.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`);
      expect(new Set([first, second])).toEqual(new Set(parents));
      expect(second).toContain(TRACE_ID);
    });

    test("a call that fails, one that is stopped and one that waited say so", async () => {
      const collector = await startCollector();
      const [gateway, member] = await startTraced(collector.url);
      const thrown = { function: { source: "() => { throw new Error('no') }" } };
      lastOf(await callEvents(gateway.url, "/pools/pipeline/call", thrown), "failed");
      const failed = await onlyTrace(collector, REMOTE);
      expect(named(failed, "run")).toMatchObject({
        isError: true,
        attributes: { "error.type": "function_threw" },
      });
      collector.spans.length = 0;

      const sleeping = { command: ["sleep", "60"] };
      const open = async (spec: object) => {
        const accept = "text/event-stream";
        return post(gateway.url, "/pools/pipeline/call", spec, { accept });
      };
      const streams = [streamOf(await open(sleeping)), streamOf(await open(sleeping))];
      const ids: string[] = [];
      for (const stream of streams) {
        const { value } = await within("placed", stream.next());
        if (value?.type === "placed") ids.push(value.child.id);
      }
      // Both slots are taken.
      const full = await post(gateway.url, "/pools/pipeline/run", SHOWS);
      expect(full.status).toBe(503);
      const waiting = eventsOf(await open({ ...SHOWS, waitMs: 20_000 }));
      for (const id of ids) await fetch(`${member.url}/children/${id}`, { method: "DELETE" });
      lastOf(await waiting, "result");
      const isOfChild = ({ name, attributes }: SeenSpan) =>
        name === "run" || (name === "place" && attributes["error.type"] !== undefined);
      const seen = await collector.trace(["run", "run", "run", "place"], isOfChild);
      const stopped = seen.filter(({ attributes }) => attributes["error.type"] === "cancelled");
      expect(stopped).toHaveLength(2);
      const refused = named(seen, "place");
      expect(refused).toMatchObject({
        isError: true,
        attributes: { "error.type": "all_members_at_capacity" },
      });
      const [waited] = await collector.trace(["wait"], ({ name, traceId }) => {
        const of = seen.find((span) => span.name === "run" && !span.isError)?.traceId;
        return name === "wait" && traceId === of;
      });
      expect(waited?.member).toBe("m2");
    });

    test("the SDK sends the active span of the program", async () => {
      const collector = await startCollector();
      const [gateway] = await startTraced(collector.url);
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
      propagation.setGlobalPropagator(W3C);
      onTestFinished(() => {
        context.disable();
        propagation.disable();
      });
      const parent = { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 };
      await using pools = new DistributedPool({ url: gateway.url });
      const active = trace.setSpanContext(ROOT_CONTEXT, parent);
      await context.with(active, () => pools.run("pipeline", SHOWS));
      const spans = await collector.trace(REMOTE, ofTrace(TRACE_ID));
      expect(named(spans, "place").parentSpanId).toBe(SPAN_ID);
    });
  },
);
