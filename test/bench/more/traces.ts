/**
 * The cost of traces: calls per second, and processor time of the member per call, with traces and
 * without, in turns. Every call is recorded, and a local sink takes the spans. It measures `dist/`:
 * `npm run build` comes first. `BENCH_ROUNDS` sets the rounds; 12 take 40 seconds.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 12);
const ROUND_MS = 1_500;
const WARM_UP_MS = 1_000;
const CALLERS = 8;
/** 10 ms: the kernel counts processor time in hundredths of a second. */
const TICK_MS = 10;
const BODY = JSON.stringify({ function: { source: "(a, b) => a + b", args: [1211, 1] } });

const folder = mkdtempSync(join(tmpdir(), "distributed-pool-traces-"));
const config = join(folder, "pool.yaml");
const pools = `{pipeline: {maxChildren: ${CALLERS}, reuse: true}}`;
writeFileSync(config, `maxRate: 1000000\npools: ${pools}\n`);

interface Subject {
  readonly name: string;
  readonly server: ChildProcess;
  readonly url: URL;
  readonly agent: Agent;
  readonly rates: number[];
  readonly cpuMs: number[];
}

async function start(name: string, env: NodeJS.ProcessEnv): Promise<Subject> {
  const args = ["dist/cli.js", "dev", "--members", "1", "--config", config, "--port", "0"];
  const server = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  const lines = createInterface({ input: server.stdout as NodeJS.ReadableStream });
  const [line] = (await once(lines, "line")) as [string];
  const url = new URL("/pools/pipeline/run", line.split(" ")[1]);
  const agent = new Agent({ keepAlive: true, maxSockets: CALLERS });
  return { name, server, url, agent, rates: [], cpuMs: [] };
}

function call({ url, agent }: Subject): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": BODY.length };
    const asked = request(url, { method: "POST", agent, headers }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`HTTP ${answer.statusCode}`));
      answer.resume().once("end", resolve);
    });
    asked.once("error", reject).end(BODY);
  });
}

async function callFor(subject: Subject, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let count = 0;
  const caller = async () => {
    while (performance.now() < end) {
      await call(subject);
      count++;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return count;
}

/** Processor time of the member so far, in milliseconds. */
function usedMs({ server }: Subject): number {
  const text = readFileSync(`/proc/${server.pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

async function measure(subject: Subject): Promise<void> {
  const [startMs, before] = [performance.now(), usedMs(subject)];
  const count = await callFor(subject, ROUND_MS);
  subject.rates.push((count * 1_000) / (performance.now() - startMs));
  subject.cpuMs.push((usedMs(subject) - before) / count);
}

const median = (values: readonly number[]) =>
  values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)] ?? Number.NaN;

let received = 0;
const sink = createServer((asked, answer) => {
  asked.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  asked.once("end", () => answer.setHeader("content-type", "application/json").end("{}"));
}).listen(0, "127.0.0.1");
await once(sink, "listening");
const endpoint = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`;
const subjects: Subject[] = [];
try {
  subjects.push(await start("off", { OTEL_SDK_DISABLED: "true" }));
  subjects.push(await start("on", { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }));
  for (const subject of subjects) await callFor(subject, WARM_UP_MS);
  for (let round = 0; round < ROUNDS; round++)
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed())
      await measure(subject);
  for (const { name, rates, cpuMs } of subjects)
    console.log(
      `traces ${name.padEnd(3)} ${median(rates).toFixed(0).padStart(6)} calls/s  ` +
        `${(median(cpuMs) * 1_000).toFixed(0).padStart(5)} µs of the member's processor a call`,
    );
  const [off, on] = subjects as [Subject, Subject];
  const share = (with_: number, without: number) => ((with_ / without - 1) * 100).toFixed(1);
  console.log(
    `difference: ${share(median(on.rates), median(off.rates))} % calls/s, ` +
      `${share(median(on.cpuMs), median(off.cpuMs))} % processor time; sink: ${received} bytes`,
  );
} finally {
  for (const { server, agent } of subjects) {
    agent.destroy();
    server.kill("SIGTERM");
    await once(server, "exit");
  }
  sink.closeAllConnections();
  sink.close();
  rmSync(folder, { recursive: true });
}
