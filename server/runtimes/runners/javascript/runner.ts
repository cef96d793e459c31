/**
 * The program inside the child, in Node or Bun. It takes jobs from descriptor 3, calls the function
 * of each, and reports there.
 */
import { getEventListeners } from "node:events";
import { createRequire } from "node:module";
import {
  type Job,
  lineOf,
  READY_LINE,
  returnedLine,
  type ServerMessage,
} from "../../functions/messages.ts";
import { readLines, writeAll, writeLine } from "./channel.ts";
import { errorReport } from "./errors.ts";
import { InvalidSource, load } from "./load.ts";
import { ProgressReporter } from "./progress.ts";
import { argumentsOf, type Encoded, encodeValue } from "./values.ts";

/** The job that is running. */
let current:
  | {
      readonly job: Job;
      readonly stop: AbortController;
      readonly progress: ProgressReporter;
      readonly usedMs: number;
    }
  | undefined;
/** The variables of the last job. */
let given: Job["env"] = {};
/** The number of active resources before the first job. */
let idleResources = 0;

/** Resources that a function may leave active, so that they disturb the next call. */
const LEAKS: ReadonlySet<string> = new Set(["Timeout", "Immediate", "ProcessWrap", "MessagePort"]);
const countLeaks = () => process.getActiveResourcesInfo().filter((name) => LEAKS.has(name)).length;

function usedMs(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return (userCPUTime + systemCPUTime) / 1_000;
}

/**
 * Reports the end of the job. Then ends the process, and all that the function left running, unless
 * the process stays for another job.
 *
 * @param body the error, or the value as JSON, which would take long to parse and write again.
 * @param hasFinished whether the function returned or threw by itself.
 */
function report(body: Encoded, hasFinished = true): void {
  if (!current) return;
  const { job, progress, usedMs: before } = current;
  progress.end();
  const stays = job.marker !== undefined;
  // A process of one job also counts its own start.
  const cpuMs = usedMs() - (stays ? before : 0);
  const usage = {
    cpuMs,
    maxRssBytes: process.resourceUsage().maxRSS * 1_024,
    ...(stays ? { marker: job.marker, clean: hasFinished && countLeaks() <= idleResources } : {}),
  };
  const line = "json" in body ? returnedLine(body.json, usage) : lineOf({ ...body, ...usage });
  current = undefined;
  if (job.marker !== undefined) for (const fd of [1, 2]) writeAll(fd, job.marker);
  writeLine(line);
  if (!stays) process.exit(0);
  listener.ref();
}

async function run(job: Job): Promise<void> {
  if (job.marker !== undefined) writeLine(lineOf({ kind: "accepted", marker: job.marker }));
  listener.unref();
  const stop = new AbortController();
  const progress = new ProgressReporter();
  current = { job, stop, progress, usedMs: usedMs() };
  const own = current;
  /** Ignores a function that runs on after an error in one of its timers, which was reported. */
  const reportOnce = (body: Encoded) => {
    if (current === own) report(body);
  };
  try {
    for (const name of Object.keys(given)) delete process.env[name];
    given = job.env;
    Object.assign(process.env, given);
    const fn = await load(job);
    if (job.loadOnly) return reportOnce({ json: "null" });
    let args: unknown[];
    try {
      args = argumentsOf(job);
    } catch (error) {
      throw new InvalidSource(
        `function.args: expected what devalue.stringify gives; ${String(error)}`,
      );
    }
    const context = { ...job.context, signal: stop.signal, progress: progress.progress };
    // `length` counts the parameters before the first one that has a default or is a rest.
    const value = await (fn.length > args.length ? fn(...args, context) : fn(...args));
    reportOnce(encodeValue(value, job.encoding));
  } catch (error) {
    reportOnce(
      error instanceof InvalidSource
        ? { kind: "invalid", detail: error.message }
        : errorReport(error),
    );
  }
}

function onLine(line: string): void {
  const message = JSON.parse(line) as ServerMessage;
  if (message.kind === "job") void run(message);
  else current?.stop.abort(new Error("the member is draining"));
}

process.on("SIGTERM", () => {
  if (!current) process.exit(143);
  const { stop } = current;
  // A function that listens to its signal has until the end of the grace; others end at once.
  const isHeard = getEventListeners(stop.signal, "abort").length > 0;
  stop.abort(new Error("the child was told to stop"));
  if (!isHeard) process.exit(143);
});
process.on("exit", () => current?.progress.end());
process.on("uncaughtException", (error) => {
  if (!current) process.exit(1);
  report(errorReport(error), false);
});
// Node writes to pipes asynchronously on Linux. At its exit it would lose the bytes that a full
// pipe has not taken yet.
for (const stream of [process.stdout, process.stderr] as unknown as {
  _handle?: { setBlocking?(on: boolean): void };
}[])
  stream._handle?.setBlocking?.(true);
// Bundlers and test runners write calls of `__name` into functions. CommonJS code expects
// `require`.
Object.assign(globalThis, {
  __name: (fn: unknown) => fn,
  require: createRequire(`${process.cwd()}/`),
});
const listener = await readLines(onLine, () => {
  if (!current) process.exit(0);
});
// The first call is slow: it happens here, before a caller waits. In Bun it would write a file.
if (process.versions.bun === undefined) encodeValue((await load({ source: "() => 1" }))(), "json");
idleResources = countLeaks();
writeLine(READY_LINE);
