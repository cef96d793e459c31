/** Runs inside the child, in Node or Bun: takes jobs from descriptor 3, calls the function of each, reports to descriptor 3. */
import { getEventListeners } from "node:events";
import { createRequire } from "node:module";
import {
  begun,
  type Drain,
  type Job,
  READY,
  type Report,
  type ReportBody,
} from "../../functions/messages.ts";
import { listen, tell, writeWhole } from "./channel.ts";
import { InvalidSource, load } from "./load.ts";
import { ProgressReporter } from "./progress.ts";
import { argumentsOf, returned, threw } from "./values.ts";

/** The job under way. */
let current:
  | {
      readonly job: Job;
      readonly stop: AbortController;
      readonly teller: ProgressReporter;
      readonly usedMs: number;
    }
  | undefined;
/** What was active before the first job. */
let atRest = 0;

/** What goes on after its function has returned and can disturb the next call. */
const LEAKS: ReadonlySet<string> = new Set(["Timeout", "Immediate", "ProcessWrap", "MessagePort"]);
const leaks = () => process.getActiveResourcesInfo().filter((name) => LEAKS.has(name)).length;

function usedMs(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return (userCPUTime + systemCPUTime) / 1_000;
}

/** Reports the end of the job, and ends the process unless it stays for another one: what the function left running ends with it. */
function report(body: ReportBody, finished = true): void {
  if (!current) return;
  const { job, teller, usedMs: before } = current;
  teller.end();
  const stays = job.marker !== undefined;
  // A process of one job counts its own start.
  const cpuMs = usedMs() - (stays ? before : 0);
  const whole: Report = {
    ...body,
    cpuMs,
    maxRssBytes: process.resourceUsage().maxRSS * 1_024,
    ...(stays ? { marker: job.marker, clean: finished && leaks() <= atRest } : {}),
  };
  current = undefined;
  if (job.marker !== undefined) for (const fd of [1, 2]) writeWhole(fd, job.marker);
  tell(JSON.stringify(whole));
  if (!stays) process.exit(0);
  held.ref();
}

async function run(job: Job): Promise<void> {
  if (job.marker !== undefined) tell(begun(job.marker));
  held.unref();
  const stop = new AbortController();
  const teller = new ProgressReporter();
  current = { job, stop, teller, usedMs: usedMs() };
  const own = current;
  /** A function that went on after an error in one of its timers has nothing more to say. */
  const tellOnce = (body: ReportBody) => {
    if (current === own) report(body);
  };
  try {
    Object.assign(process.env, job.env);
    const fn = await load(job);
    if (job.loadOnly) return tellOnce({ kind: "returned", value: null });
    let args: unknown[];
    try {
      args = argumentsOf(job);
    } catch (error) {
      throw new InvalidSource(
        `function.args: expected what devalue.stringify gives; ${String(error)}`,
      );
    }
    const value = await fn(...args, {
      ...job.context,
      signal: stop.signal,
      progress: teller.progress,
    });
    tellOnce(returned(value, job.encoding));
  } catch (error) {
    tellOnce(
      error instanceof InvalidSource ? { kind: "invalid", detail: error.message } : threw(error),
    );
  }
}

function onLine(line: string): void {
  const message = JSON.parse(line) as Job | Drain;
  if (message.type === "job") void run(message);
  else current?.stop.abort(new Error("the member is draining"));
}

process.on("SIGTERM", () => {
  if (!current) process.exit(143);
  const { stop } = current;
  // Whoever listens has until the end of the grace; nobody else is waited for.
  const heard = getEventListeners(stop.signal, "abort").length > 0;
  stop.abort(new Error("the child was told to stop"));
  if (!heard) process.exit(143);
});
process.on("exit", () => current?.teller.end());
process.on("uncaughtException", (error) => {
  if (!current) process.exit(1);
  report(threw(error), false);
});
// Node writes to pipes asynchronously on Linux, and would lose at its exit what a full pipe had not taken yet.
for (const stream of [process.stdout, process.stderr] as unknown as {
  _handle?: { setBlocking?(on: boolean): void };
}[])
  stream._handle?.setBlocking?.(true);
// What bundlers and test runners write into functions, and what CommonJS code expects.
Object.assign(globalThis, {
  __name: (fn: unknown) => fn,
  require: createRequire(`${process.cwd()}/`),
});
const held = await listen(onLine, () => {
  if (!current) process.exit(0);
});
// The first time of everything is slow: better now than when a caller waits. In Bun it would write a file.
if (process.versions.bun === undefined) returned((await load({ source: "() => 1" }))(), "json");
atRest = leaks();
tell(READY);
