/** The trace context of a call, and members whose collector takes nothing. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { RunningMember } from "../../server/main.ts";
import {
  callEvents,
  heldBytes,
  lastOf,
  startMembers,
  startOne,
  textOf,
} from "../helpers/member.ts";

/** 1 MB: what 100 calls leave behind otherwise, such as their connections. */
const MAX_GROWTH_BYTES = 1_000_000;
const CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SHOWS = { command: ["sh", "-c", 'echo "$TRACEPARENT,$TRACESTATE"'] };
const FUNCTION = { function: { source: "() => 1" } };

describe("the trace context of a call", () => {
  test("a member without traces passes the caller's context on to the child", async () => {
    const [gateway] = (await startMembers({ pools: { other: 1 } }, {})) as [RunningMember];
    const headers = { traceparent: CALLER, tracestate: "vendor=1" };
    const show = async (headers: Record<string, string>) =>
      textOf(await callEvents(gateway.url, "/pools/pipeline/call", SHOWS, headers));
    expect(await show(headers)).toBe(`${CALLER},vendor=1\n`);
    for (const malformed of ["", "00-1", CALLER.toUpperCase(), `${CALLER}-x`, `ff${CALLER}`])
      expect(await show({ ...headers, traceparent: malformed })).toBe(",\n");
  });

  test("a variable of the caller's own spec comes first", async () => {
    const { url } = await startOne();
    const spec = { ...SHOWS, env: { TRACEPARENT: "mine" } };
    const headers = { traceparent: CALLER };
    expect(textOf(await callEvents(url, "/pools/pipeline/call", spec, headers))).toBe("mine,\n");
  });

  test("a reused process keeps no context of the call before", async () => {
    const pools = { pipeline: { maxChildren: 1, reuse: true } };
    const { url } = await startOne({ pools });
    for (const runtime of ["node", "python"]) {
      const source =
        runtime === "node"
          ? "() => process.env.TRACEPARENT ?? null"
          : "def f():\n    import os\n    return os.environ.get('TRACEPARENT')";
      const made = { source, runtime, ...(runtime === "python" && { export: "f" }) };
      const call = async (headers = {}) =>
        lastOf(await callEvents(url, "/pools/pipeline/call", { function: made }, headers), "result")
          .value;
      expect(await call({ traceparent: CALLER })).toBe(CALLER);
      expect(await call()).toBe(null);
    }
  });

  test("a collector that takes nothing delays no call, and holds no memory", async () => {
    // It accepts connections, and never answers.
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    onTestFinished(() => void silent.close());
    const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    onTestFinished(() => void vi.unstubAllEnvs());
    const { url } = await startOne({
      pools: { pipeline: { maxChildren: 4, reuse: true } },
      otel: {
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_BSP_SCHEDULE_DELAY: "20",
        OTEL_BSP_MAX_QUEUE_SIZE: "64",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "32",
      },
      rememberMs: 0,
    });
    const calls = async (count: number) => {
      for (let made = 0; made < count; made++)
        lastOf(await callEvents(url, "/pools/pipeline/call", FUNCTION), "result");
    };
    await calls(20);
    const before = await heldBytes();
    await calls(100);
    // Of 500 spans the queue holds 64.
    expect((await heldBytes()) - before).toBeLessThan(MAX_GROWTH_BYTES);
    // The member stops at the end of the test, although spans wait.
  });
});
