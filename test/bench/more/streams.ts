/**
 * The throughput of output, beside the same bytes through a bare HTTP server: in each form of
 * answer, as chunks and as lines, directly and through a gateway. Member, gateway, bare server and
 * reader are processes of their own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "undici";
import { startConsul } from "../../helpers/consul.ts";
import { startServe } from "../../helpers/processes.ts";
import { eventually } from "../../helpers/wait.ts";

const MIB = 1024 * 1024;
const CHUNK_BYTES = 512 * MIB;
const CHUNKS = ["sh", "-c", `head -c ${CHUNK_BYTES} /dev/zero | tr '\\0' x`];
const LINE_BYTES = 256 * MIB;
const LINE = "x".repeat(79);
const LINES = ["sh", "-c", `yes ${LINE} | head -c ${LINE_BYTES}`];
/** A program that makes one write of each line. */
const WRITTEN = 50_000;
const WRITES = ["perl", "-e", `$| = 1; print "${LINE}\\n" for 1 .. ${WRITTEN}`];

const BARE = `
const { spawn } = require("node:child_process");
require("node:http").createServer((incoming, outgoing) => {
  let body = "";
  incoming.on("data", (chunk) => (body += chunk)).on("end", () => {
    const [file, ...args] = JSON.parse(body).command;
    spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] }).stdout.pipe(outgoing);
  });
}).listen(0, "127.0.0.1", function () { console.log(this.address().port); });`;

const bare = spawn(process.execPath, ["-e", BARE], { stdio: ["ignore", "pipe", "inherit"] });
const [port] = (await once(bare.stdout, "data")) as [Buffer];
const consul = await startConsul();
const start = (member: string, pool: string) =>
  startServe({ member, pool, consul: consul.httpAddress });
const [owner, gateway] = await Promise.all([
  start("owner", "pipeline=5"),
  start("gateway", "other=1"),
]);
await eventually(
  "the gateway to see the owner",
  async () => {
    if ((await fetch(`${gateway.url}/pools/pipeline`)).status !== 200)
      throw new Error("it does not yet");
  },
  15_000,
);

/** MiB of output a second. The body is read and dropped. */
async function rate(url: string, bytes: number, spec: object, accept: string): Promise<number> {
  const since = performance.now();
  const answer = await request(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept },
    body: JSON.stringify(spec),
  });
  if (answer.statusCode !== 200)
    throw new Error(`HTTP ${answer.statusCode}: ${await answer.body.text()}`);
  let received = 0;
  for await (const chunk of answer.body) received += (chunk as Buffer).length;
  if (received < bytes) throw new Error(`expected at least ${bytes} bytes; got ${received}`);
  return bytes / MIB / ((performance.now() - since) / 1_000);
}

const median = (values: number[]) =>
  values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const ROUNDS = 3;
const RAW = "application/octet-stream";
const SSE = "text/event-stream";
const bareUrl = `http://127.0.0.1:${String(port).trim()}`;

for (const [what, command, bytes] of [
  ["chunks", CHUNKS, CHUNK_BYTES],
  ["80-byte lines through a pipe", LINES, LINE_BYTES],
  ["80-byte lines, each written by itself", WRITES, WRITTEN * 80],
] as const) {
  const rates = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    const measure = async (name: string, url: string, spec: object, accept: string) =>
      rates.set(name, [
        ...(rates.get(name) ?? []),
        await rate(url, bytes, { command, ...spec }, accept),
      ]);
    await measure("bare HTTP", bareUrl, {}, RAW);
    for (const [hops, url, pool] of [
      ["one hop", `${owner.url}/call`, { pool: "pipeline" }],
      ["two hops", `${gateway.url}/pools/pipeline/call`, {}],
    ] as const) {
      await measure(`raw, ${hops}`, url, pool, RAW);
      await measure(`base64, ${hops}`, url, { ...pool, outputEncoding: "base64" }, SSE);
      await measure(`text, ${hops}`, url, pool, SSE);
    }
  }
  const limit = median(rates.get("bare HTTP") ?? []);
  console.log(`${what}:`);
  for (const [name, values] of rates)
    console.log(
      `  ${name.padEnd(18)} ${median(values).toFixed(0).padStart(5)} MiB/s  ` +
        `${(median(values) / limit).toFixed(2)} x bare`,
    );
}
await Promise.all([owner.end(), gateway.end()]);
await consul.stop();
bare.kill();
