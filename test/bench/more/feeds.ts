/**
 * The processor time of a member at 200 calls a second of a reused function: without an open page,
 * with one, and with 10. The benchmark prints the share of a core that one open page costs.
 */
import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

const CALLS_A_SECOND = Number(process.env.BENCH_CALLS ?? 200);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 10);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const FEEDS = [0, 1, 10];
const TURN_MS = 20;
/** The kernel counts processor time in hundredths of a second. */
const TICK_MS = 10;

const config = join(tmpdir(), `dpool-feeds-${process.pid}.yaml`);
writeFileSync(config, "pools:\n  pipeline: { maxChildren: 4, reuse: true }\n");
const args = ["dev", "--members", "1", "--config", config, "--port", "0", "--max-rate", "100000"];
const server = spawn(process.execPath, ["dist/cli.js", ...args], {
  stdio: ["ignore", "pipe", "ignore"],
});
let url = "";
for await (const line of createInterface({ input: server.stdout })) {
  url = line.split(" ")[1] ?? "";
  break;
}

/** Processor time of the member alone, without its children. */
function usedMs(): number {
  const stat = readFileSync(`/proc/${server.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

const request = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ function: { source: "() => 1" }, waitMs: 60_000 }),
};
const call = async () => {
  const answer = await fetch(`${url}/pools/pipeline/run`, request);
  if (answer.status !== 200) throw new Error(await answer.text());
  await answer.arrayBuffer();
};

let read = 0;
/** Opens a page's feed. @returns a function that closes it. */
async function openFeed(): Promise<() => void> {
  const abort = new AbortController();
  const { body } = await fetch(`${url}/events`, { signal: abort.signal });
  const readAll = async () => {
    for await (const chunk of body ?? []) read += chunk.length;
  };
  void readAll().catch(() => {});
  return () => abort.abort();
}

/** Calls at the rate. @returns the share of a core that the member took, in percent. */
async function measure(seconds: number): Promise<number> {
  const [from, before] = [performance.now(), usedMs()];
  const calls: Promise<void>[] = [];
  for (let passed = 0; passed < seconds * 1_000; passed = performance.now() - from) {
    while (calls.length < (passed / 1_000) * CALLS_A_SECOND) calls.push(call());
    await pause(TURN_MS);
  }
  await Promise.all(calls);
  return (100 * (usedMs() - before)) / (performance.now() - from);
}

const shares = new Map(FEEDS.map((feeds) => [feeds, [] as number[]]));
await measure(5);
for (let round = 0; round < ROUNDS; round++)
  for (const feeds of FEEDS) {
    const closers = await Promise.all(Array.from({ length: feeds }, openFeed));
    read = 0;
    shares.get(feeds)?.push(await measure(SECONDS));
    for (const close of closers) close();
    const bytes = feeds === 0 ? "" : `; ${Math.round(read / feeds / SECONDS / 1_024)} KiB/s a page`;
    console.log(`${feeds} pages: ${shares.get(feeds)?.at(-1)?.toFixed(1)} % of a core${bytes}`);
  }
const median = (feeds: number) =>
  (shares.get(feeds) ?? []).toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] as number;
for (const feeds of FEEDS.slice(1))
  console.log(
    `with ${feeds} pages, each costs ${((median(feeds) - median(0)) / feeds).toFixed(2)} % of a core`,
  );
server.kill("SIGKILL");
rmSync(config);
