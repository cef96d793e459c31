/** Runs a JavaScript function in a fresh `node`, the same version as the server's. */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { FunctionErrorSchema } from "../../openapi/errors.ts";
import { MAX_NESTING, nestsAtMost } from "../../openapi/schemas.ts";
import type { SandboxedProcess } from "../sandbox/sandbox.ts";
import type { Job, Report } from "./messages.ts";
import { contextEnvironment, NOT_STARTED, type Runtime, type Work } from "./runtime.ts";

const NODE = "/run/distributed-pool/node";
/** Beside this file in the source tree, and beside the bundle in the package. */
const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const RUNNER_FILE = fileURLToPath(new URL(`./node-runner.${EXTENSION}`, import.meta.url));
const RUNNER = `/run/distributed-pool/runner.${EXTENSION === "ts" ? "mts" : "mjs"}`;
const NEWLINE = 10;
/** A larger report is refused. */
export const MAX_REPORT_BYTES = 16 * 1024 * 1024;

const usage = { cpuMs: z.number().min(0), maxRssBytes: z.int().min(0) };
/** A report as it has to be: the function shares its process with the runner, and can write what it likes in its place. */
const ReportSchema = z.discriminatedUnion("kind", [
  z.object({ ...usage, kind: z.literal("returned"), value: z.unknown() }),
  z.object({ ...usage, kind: z.literal("threw"), error: FunctionErrorSchema, detail: z.string() }),
  z.object({ ...usage, kind: z.literal("invalid"), detail: z.string() }),
]) satisfies z.ZodType<Report>;

/** After its report the runner has nothing left to do but exit, and after its exit nothing is left to read. */
const END_TIMEOUT_MS = 1_000;

export const nodeRuntime: Runtime = {
  program: (spec, context) => ({
    argv: [NODE, "--disable-warning=ExperimentalWarning", RUNNER],
    env: { ...spec.env, ...contextEnvironment(context) },
    readOnly: [
      { from: process.execPath, to: NODE },
      { from: RUNNER_FILE, to: RUNNER },
    ],
    channel: true,
    stdin: spec.stdin !== undefined,
  }),

  follow(child, spec, context) {
    const job: Job = { source: spec.function?.source ?? "", args: spec.function?.args ?? [], context };
    child.channel?.write(`${JSON.stringify(job)}\n`);
    return { outcome: outcome(child, (spec.artifacts ?? []).length > 0) };
  },
};

/**
 * Resolves with the report as soon as it is there, so that what happens to the process afterwards changes nothing.
 *
 * @param packs whether artifacts are packed after the runner's end, which may take until the deadline.
 */
async function outcome(child: SandboxedProcess, packs: boolean): Work["outcome"] {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const told = new Promise<void>((resolve) => {
    child.channel?.once("close", resolve);
    let whole = false;
    child.channel?.on("data", (chunk: Buffer) => {
      // The first line is the report, whatever comes after it.
      if (whole) return;
      const end = chunk.indexOf(NEWLINE);
      const part = end < 0 ? chunk : chunk.subarray(0, end + 1);
      bytes += part.length;
      whole = end >= 0 || bytes > MAX_REPORT_BYTES;
      if (bytes <= MAX_REPORT_BYTES) chunks.push(part);
      if (whole) resolve();
    });
  });
  const silent = child.exited.then(() => new Promise<void>((resolve) => setTimeout(resolve, END_TIMEOUT_MS).unref()));
  await Promise.race([told, silent]);
  const timer = packs ? undefined : setTimeout(() => child.kill(), END_TIMEOUT_MS);
  void child.exited.then(() => {
    clearTimeout(timer);
    child.channel?.destroy();
  });
  if (bytes > MAX_REPORT_BYTES) {
    child.kill();
    return { kind: "threw", ...cannotTravel(`expected a value of at most ${MAX_REPORT_BYTES} bytes of JSON; it is larger`) };
  }
  if (bytes === 0) {
    const exit = await child.exited;
    if (!exit.started) return NOT_STARTED;
    const how = exit.signal === null ? `exited with code ${exit.exitCode}` : `was ended by ${exit.signal}`;
    return { kind: "crashed", detail: `the function's process ${how} before the function returned` };
  }
  const report = readReport(Buffer.concat(chunks).toString("utf8"));
  if (!report) return { kind: "crashed", detail: "the function's process sent a report that is not one" };
  const { cpuMs, maxRssBytes, ...rest } = report;
  if (rest.kind === "returned" && !nestsAtMost(rest.value, MAX_NESTING)) {
    return { kind: "threw", ...cannotTravel(`expected a value nested at most ${MAX_NESTING} levels deep; it is deeper`) };
  }
  return { ...rest, usage: { cpuMs, maxRssBytes } };
}

function readReport(text: string): Report | undefined {
  try {
    return ReportSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function cannotTravel(message: string): { error: { name: string; message: string }; detail: string } {
  return { error: { name: "RangeError", message }, detail: `the function returned what cannot travel: ${message}` };
}
