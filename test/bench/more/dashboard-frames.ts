/**
 * The frames of the dashboard in Chromium at 200 calls a second of a reused function. An empty page
 * and a dashboard without calls show the machine's limit in the same run. It takes less than 40
 * seconds, and needs a build.
 *
 *     node test/bench/more/dashboard-frames.ts
 */
import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { type Browser, chromium, type Page } from "playwright-core";
import { whereIs } from "../../helpers/programs.ts";

const CALLS_A_SECOND = 200;
const WATCH_MS = 10_000;
const LIMIT_MS = 5_000;
/** 3 seconds: so long do the calls run before frames count. */
const WARM_MS = 3_000;
const TURN_MS = 20;
/** A frame of 60 a second takes 16.7 ms. A gap above 25 ms has missed one. */
const LONG_MS = 25;

const executablePath = whereIs("chromium");
if (!executablePath) throw new Error("expected chromium on PATH");
const config = join(tmpdir(), `dpool-frames-${process.pid}.yaml`);
writeFileSync(config, "pools:\n  pipeline: { maxChildren: 4, reuse: true }\n");
const args = ["dev", "--members", "1", "--config", config, "--port", "0", "--max-rate", "100000"];
args.push("--max-streams", "10000");
const server = spawn(process.execPath, ["dist/cli.js", ...args], {
  stdio: ["ignore", "pipe", "ignore"],
});
process.on("exit", () => {
  server.kill("SIGKILL");
  rmSync(config);
});
let url = "";
for await (const line of createInterface({ input: server.stdout })) {
  url = line.split(" ")[1] ?? "";
  break;
}
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

interface Frames {
  requestAnimationFrame(onFrame: (time: number) => void): void;
}

/** The times of the frames, and of tasks above 50 ms, in milliseconds. It runs in the page. */
const watched = (ms: number) =>
  new Promise<{ times: number[]; tasks: number[] }>((resolve) => {
    const { requestAnimationFrame } = globalThis as unknown as Frames;
    const times: number[] = [];
    const tasks: number[] = [];
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(duration);
    }).observe({ entryTypes: ["longtask" as "measure"] });
    const onFrame = (time: number) => {
      times.push(time);
      if (time - (times[0] as number) >= ms) resolve({ times, tasks });
      else requestAnimationFrame(onFrame);
    };
    requestAnimationFrame(onFrame);
  });

/** Processor time of the renderers, and of the process that draws, in milliseconds. */
async function usedMs(of: Browser): Promise<Record<string, number>> {
  const session = await of.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const used: Record<string, number> = {};
  for (const { type, cpuTime } of processInfo) used[type] = (used[type] ?? 0) + cpuTime * 1_000;
  return used;
}

async function measure(name: string, page: Page, ms: number): Promise<void> {
  await page.bringToFront();
  const before = await usedMs(browser);
  const { times, tasks } = await page.evaluate(watched, ms);
  const after = await usedMs(browser);
  const passed = (times.at(-1) as number) - (times[0] as number);
  const gaps = times.slice(1).map((time, at) => time - (times[at] as number));
  const share = (type: string) =>
    ((100 * ((after[type] ?? 0) - (before[type] ?? 0))) / passed).toFixed(0);
  console.log(
    `${name.padEnd(22)} ${((1_000 * gaps.length) / passed).toFixed(1)} frames/s; ` +
      `${gaps.filter((gap) => gap > LONG_MS).length} of ${gaps.length} gaps above ${LONG_MS} ms, ` +
      `the worst ${Math.max(...gaps).toFixed(0)} ms; ${tasks.length} tasks above 50 ms; ` +
      `renderer ${share("renderer")} %, drawing ${share("GPU")} % of a core`,
  );
}

let calls = 0;
let isOver = false;
async function keepCalling(): Promise<void> {
  const request = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ function: { source: "() => 1" }, waitMs: 60_000 }),
  };
  const call = async () => {
    const answer = await fetch(`${url}/pools/pipeline/run`, request);
    if (answer.status !== 200) throw new Error(await answer.text());
    await answer.arrayBuffer();
    calls++;
  };
  const from = performance.now();
  const open: Promise<void>[] = [];
  while (!isOver) {
    const due = ((performance.now() - from) / 1_000) * CALLS_A_SECOND;
    while (open.length < due) open.push(call());
    await pause(TURN_MS);
  }
  await Promise.all(open);
}

const page = await browser.newPage({ viewport: { width: 1_440, height: 900 } });
await measure("empty page", page, LIMIT_MS);
await page.goto(url);
await page.locator(".pool").waitFor();
await measure("dashboard, no calls", page, LIMIT_MS);
const calling = keepCalling();
await pause(WARM_MS);
const [begin, first] = [performance.now(), calls];
await measure("dashboard with calls", page, WATCH_MS);
console.log(`${(((calls - first) * 1_000) / (performance.now() - begin)).toFixed(0)} calls/s`);
isOver = true;
await calling;
await browser.close();
process.exit();
