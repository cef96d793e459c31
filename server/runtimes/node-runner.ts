/**
 * Runs inside the child: reads one job from descriptor 3, calls the function, writes one report to descriptor 3.
 * It is a file of its own, started by `node` alone, and imports nothing but Node.
 */
import { getEventListeners } from "node:events";
import { readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { constants, Script } from "node:vm";
import type { Job, Report } from "./messages.ts";

const CHANNEL = 3;
type ReportBody = Report extends infer R ? (R extends Report ? Omit<R, "cpuMs" | "maxRssBytes"> : never) : never;

let reported = false;

/** Writes the report, whole, and ends the process: what the function left running ends with it. */
function report(body: ReportBody): void {
  if (reported) return;
  reported = true;
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const bytes = Buffer.from(`${JSON.stringify({ ...body, cpuMs: (userCPUTime + systemCPUTime) / 1_000, maxRssBytes: maxRSS * 1_024 } as Report)}\n`);
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(CHANNEL, bytes, sent);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") break;
    }
  }
  process.exit(0);
}

/** What JSON would change or drop without a word; undefined when the value survives it. */
function lossIn(value: unknown, path: string, within: ReadonlySet<object>): string | undefined {
  if (value === null || value === undefined || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : `${path} is ${value}`;
  if (typeof value !== "object") return `${path} is a ${typeof value}`;
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return undefined;
  if (within.has(value)) return `${path} is part of a cycle`;
  const inside = new Set(within).add(value);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const loss = item === undefined ? `${path}[${index}] is undefined` : lossIn(item, `${path}[${index}]`, inside);
      if (loss) return loss;
    }
    return undefined;
  }
  if (
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Promise ||
    value instanceof RegExp ||
    value instanceof Error ||
    ArrayBuffer.isView(value) ||
    value instanceof ArrayBuffer
  ) {
    return `${path} is an instance of ${value.constructor.name}`;
  }
  for (const [key, item] of Object.entries(value)) {
    const loss = lossIn(item, `${path}.${key}`, inside);
    if (loss) return loss;
  }
  return undefined;
}

function returned(value: unknown): void {
  let loss: string | undefined;
  let json: string | undefined;
  try {
    loss = lossIn(value, "the value", new Set());
    json = loss ? undefined : JSON.stringify(value ?? null);
  } catch (error) {
    loss = `reading it threw ${String(error)}`;
  }
  if (loss !== undefined || json === undefined) {
    const message = `expected a value that JSON can carry; ${loss ?? "it has none"}`;
    report({ kind: "threw", error: { name: "TypeError", message }, detail: `the function returned what cannot travel: ${message}` });
  } else report({ kind: "returned", value: JSON.parse(json) });
}

function threw(thrown: unknown): void {
  const isError = thrown instanceof Error;
  const name = isError ? String(thrown.name) : "Error";
  const message = isError ? String(thrown.message) : String(thrown);
  const unknownName = isError && thrown instanceof ReferenceError ? /^(\S+) is not defined$/.exec(message)?.[1] : undefined;
  const hint = unknownName
    ? ` (functions travel as source and see only what is passed to them: if ${unknownName} is a variable of yours, pass it as an argument)`
    : "";
  const stack = isError && typeof thrown.stack === "string" ? thrown.stack : undefined;
  report({ kind: "threw", error: { name, message, ...(stack === undefined ? {} : { stack }) }, detail: `${name}: ${message}${hint}` });
}

/** The function that the source is; undefined after an `invalid` report. */
function compile(source: string): ((...args: unknown[]) => unknown) | undefined {
  try {
    const script = new Script(`(${source}\n)`, {
      filename: "function.js",
      columnOffset: -1,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    const value: unknown = script.runInThisContext();
    if (typeof value === "function") return value as (...args: unknown[]) => unknown;
    report({ kind: "invalid", detail: `function.source: expected one function expression; got ${value === null ? "null" : `a ${typeof value}`}` });
  } catch (error) {
    if (error instanceof SyntaxError) {
      const place = /^function\.js:(\d+)/.exec(error.stack ?? "")?.[1];
      report({ kind: "invalid", detail: `function.source does not parse: ${error.message}${place ? ` (line ${place})` : ""}` });
    } else threw(error);
  }
  return undefined;
}

function readJob(): Job {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(65_536);
    let count: number;
    try {
      count = readSync(CHANNEL, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") continue;
      throw error;
    }
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    if (chunk[count - 1] === 10) break;
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as Job;
}

/** Node writes to pipes asynchronously on Linux, and would lose at its exit what a full pipe had not taken yet. */
function writeBlocking(...streams: unknown[]): void {
  for (const stream of streams as { _handle?: { setBlocking?(on: boolean): void } }[]) stream._handle?.setBlocking?.(true);
}

async function main(): Promise<void> {
  writeBlocking(process.stdout, process.stderr);
  const job = readJob();
  const stop = new AbortController();
  process.once("SIGTERM", () => {
    // Whoever listens has until the end of the grace; nobody else is waited for.
    const heard = getEventListeners(stop.signal, "abort").length > 0;
    stop.abort(new Error("the child was told to stop"));
    if (!heard) process.exit(143);
  });
  process.on("uncaughtException", threw);
  // What bundlers and test runners write into functions, and what CommonJS code expects.
  Object.assign(globalThis, { __name: (fn: unknown) => fn, require: createRequire(`${process.cwd()}/`) });
  const fn = compile(job.source);
  if (!fn) return;
  try {
    returned(await fn(...job.args, { ...job.context, signal: stop.signal }));
  } catch (error) {
    threw(error);
  }
}

void main();
