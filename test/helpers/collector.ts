/** A real OpenTelemetry Collector: it takes spans by OTLP, and sends them on to the test. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { within } from "./member.ts";
import { eventually } from "./wait.ts";

const PROGRAM = fileURLToPath(new URL("../../.tools/otel-collector/otelcol", import.meta.url));
const START_TIMEOUT_MS = 20_000;

/** Why there is no collector; undefined where there is one. */
export const collectorMissing = existsSync(PROGRAM)
  ? undefined
  : "there is no collector in .tools: Go is not installed";

type Value = Readonly<Record<string, unknown>>;
interface Pair {
  readonly key: string;
  readonly value: Value;
}

/** A span as the collector understood it. */
export interface SeenSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly kind: number;
  readonly traceState: string | undefined;
  readonly isError: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string; readonly attributes: object }[];
  /** `service.instance.id`: the member that recorded the span. */
  readonly member: unknown;
  readonly service: unknown;
}

const objectOf = (pairs: readonly Pair[] = []) =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));

interface WireSpan extends Omit<SeenSpan, "attributes" | "events" | "isError"> {
  readonly attributes?: readonly Pair[];
  readonly events?: readonly { readonly name: string; readonly attributes?: readonly Pair[] }[];
  readonly status?: { readonly code?: number };
}

function seen(span: WireSpan, resource: Value): SeenSpan {
  return {
    ...span,
    parentSpanId: span.parentSpanId ?? "",
    isError: span.status?.code === 2,
    attributes: objectOf(span.attributes),
    events: (span.events ?? []).map(({ name, attributes }) => ({
      name,
      attributes: objectOf(attributes),
    })),
    member: resource["service.instance.id"],
    service: resource["service.name"],
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export class Collector {
  /** The endpoint of OTLP over HTTP. */
  readonly url: string;
  readonly spans: SeenSpan[] = [];
  #arrived = Promise.withResolvers<void>();

  constructor(url: string) {
    this.url = url;
  }

  /** Resolves with the spans of a trace, once those of these names are there, as often as named. */
  async trace(names: readonly string[], isOf: (span: SeenSpan) => boolean): Promise<SeenSpan[]> {
    const wanted = names.toSorted().join();
    const ofTrace = () => this.spans.filter(isOf);
    const whole = async () => {
      while (
        ofTrace()
          .map(({ name }) => name)
          .sort()
          .join() !== wanted
      )
        await this.#arrived.promise;
      return ofTrace();
    };
    const have = () => ofTrace().map(({ name }) => name);
    return within(`the spans ${wanted}`, whole()).catch((error: Error) => {
      throw new Error(`${error.message}; got ${have()}`);
    });
  }

  take(text: string): void {
    const { resourceSpans = [] } = JSON.parse(text) as {
      resourceSpans?: {
        resource: { attributes: Pair[] };
        scopeSpans: { spans: WireSpan[] }[];
      }[];
    };
    for (const { resource, scopeSpans } of resourceSpans)
      for (const { spans } of scopeSpans)
        this.spans.push(...spans.map((span) => seen(span, objectOf(resource.attributes))));
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }
}

/** Starts a collector, until the test ends. */
export async function startCollector(): Promise<Collector> {
  const port = await freePort();
  const collector = new Collector(`http://127.0.0.1:${port}`);
  const sink = createServer(async (request, response) => {
    collector.take(await textOf(request));
    response.setHeader("content-type", "application/json").end("{}");
  });
  const endpoint = await listening(sink);
  const folder = await mkdtemp(join(tmpdir(), "distributed-pool-collector-"));
  const config = {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: {
      otlp_http: {
        endpoint,
        encoding: "json",
        compression: "none",
        sending_queue: { enabled: false },
      },
    },
    service: { pipelines: { traces: { receivers: ["otlp"], exporters: ["otlp_http"] } } },
  };
  const file = join(folder, "collector.yaml");
  // Each JSON text is YAML too.
  await writeFile(file, JSON.stringify(config));
  const running = spawn(PROGRAM, ["--config", file], { stdio: ["ignore", "inherit", "inherit"] });
  onTestFinished(async () => {
    running.kill("SIGKILL");
    if (running.exitCode === null && running.signalCode === null) await once(running, "exit");
    sink.closeAllConnections();
    sink.close();
    await rm(folder, { recursive: true });
  });
  await eventually(
    "the collector to listen",
    async () => {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ resourceSpans: [] });
      await fetch(`${collector.url}/v1/traces`, { method: "POST", headers, body });
    },
    START_TIMEOUT_MS,
  );
  return collector;
}
