/**
 * Many readers on one child, and many children with one reader each. The benchmark prints the
 * memory that a reader costs the member, without the kernel's buffers, and the time from a write
 * of the child to its last reader.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

const READERS = Number(process.env.BENCH_READERS ?? 2_000);
const CHILDREN = Number(process.env.BENCH_CHILDREN ?? 500);
const LINES = 20;
const AT_A_TIME = 8;

/** A program that prints the time again and again. */
const clock = (seconds: number) => [
  "perl",
  "-MTime::HiRes=time,sleep",
  "-e",
  `$| = 1; while (1) { printf "%.6f\\n", time; sleep ${seconds} }`,
];

const args = [
  "dev",
  "--members",
  "1",
  "--pool",
  `pipeline=${CHILDREN}`,
  "--port",
  "0",
  "--max-streams",
  "100000",
  "--max-rate",
  "100000",
  "--drain-ms",
  "0",
];
const server = spawn(process.execPath, ["dist/cli.js", ...args], {
  stdio: ["ignore", "pipe", "ignore"],
});
let url = "";
for await (const line of createInterface({ input: server.stdout })) {
  url = line.split(" ")[1] ?? "";
  break;
}
const { hostname, port } = new URL(url);

function residentBytes(): number {
  return (
    Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]) *
    1024
  );
}

async function inTurns(count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      while (next < count) await run(next++);
    }),
  );
}

async function place(seconds: number): Promise<string> {
  const body = JSON.stringify({ pool: "pipeline", command: clock(seconds) });
  const answer = await fetch(`${url}/children`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  if (answer.status !== 201) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
  return ((await answer.json()) as { id: string }).id;
}

/**
 * Attaches to a child, and reports each line with the milliseconds from its write to its arrival.
 */
async function attach(id: string, arrived: (line: string, ms: number) => void): Promise<Socket> {
  const socket = connect(Number(port), hostname);
  socket.write(`GET /children/${id}/events HTTP/1.1\r\nhost: ${hostname}\r\n\r\n`);
  socket.on("data", (bytes) => {
    for (const [, line] of bytes.toString("latin1").matchAll(/"text":"([\d.]+)\\n"/g)) {
      arrived(line as string, performance.timeOrigin + performance.now() - Number(line) * 1_000);
    }
  });
  await once(socket, "data");
  return socket;
}

const kib = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`;
const median = (values: number[]) =>
  values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/**
 * Waits until a number of lines have reached all their readers. Answers the median time to the
 * first
 * reader and to the last one.
 */
async function latencies(
  readersOfLine: number,
  seen: Map<string, number[]>,
  lines: number,
): Promise<string> {
  seen.clear();
  const whole = () => [...seen.values()].filter((times) => times.length === readersOfLine);
  while (whole().length < lines) await new Promise((resolve) => setTimeout(resolve, 100));
  const ms = (pick: (...times: number[]) => number) =>
    median(whole().map((times) => pick(...times))).toFixed(1);
  return `from write to the first reader ${ms(Math.min)} ms, to the last ${ms(Math.max)} ms`;
}

try {
  const sockets: Socket[] = [];
  const seen = new Map<string, number[]>();
  const note = (line: string, ms: number) => {
    const times = seen.get(line);
    if (times) times.push(ms);
    else seen.set(line, [ms]);
  };

  const id = await place(0.5);
  await (await attach(id, () => {})).destroy();
  const alone = residentBytes();
  await inTurns(READERS, async () => void sockets.push(await attach(id, note)));
  console.log(`${READERS} readers on one child: ${await latencies(READERS, seen, LINES)}`);
  console.log(
    `${READERS} readers on one child: ` +
      `${kib((residentBytes() - alone) / READERS)} of the member for each`,
  );
  for (const socket of sockets.splice(0)) socket.destroy();
  await fetch(`${url}/children/${id}?graceMs=0`, { method: "DELETE" });

  const before = residentBytes();
  await inTurns(CHILDREN, async () => {
    sockets.push(await attach(await place(5), note));
  });
  console.log(`${CHILDREN} children with a reader each: ${await latencies(1, seen, CHILDREN)}`);
  console.log(
    `${CHILDREN} children with a reader each: ` +
      `${kib((residentBytes() - before) / CHILDREN)} more of the member for each`,
  );
  for (const socket of sockets) socket.destroy();
} finally {
  server.kill("SIGTERM");
  await once(server, "exit");
}
