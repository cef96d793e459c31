/** Runs a JavaScript function in a fresh `node`, the same version as the server's. */
import { fileURLToPath } from "node:url";
import type { SandboxedProcess } from "../sandbox/sandbox.ts";
import type { Job, Report } from "./messages.ts";
import { contextEnvironment, type Outcome, type Runtime } from "./runtime.ts";

const NODE = "/run/distributed-pool/node";
/** Beside this file in the source tree, and beside the bundle in the package. */
const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const RUNNER_FILE = fileURLToPath(new URL(`./node-runner.${EXTENSION}`, import.meta.url));
const RUNNER = `/run/distributed-pool/runner.${EXTENSION === "ts" ? "mts" : "mjs"}`;
const NEWLINE = 10;
/** A larger report is refused. */
export const MAX_REPORT_BYTES = 16 * 1024 * 1024;
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
    return { outcome: outcome(child) };
  },
};

async function outcome(child: SandboxedProcess): ReturnType<Runtime["follow"]>["outcome"] {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const told = new Promise<void>((resolve) => {
    child.channel?.once("close", resolve);
    child.channel?.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_REPORT_BYTES) chunks.push(chunk);
      else child.kill();
      if (chunk.at(-1) !== NEWLINE) return;
      resolve();
      timer ??= setTimeout(() => child.kill(), END_TIMEOUT_MS);
    });
  });
  const exit = await child.exited;
  clearTimeout(timer);
  await Promise.race([told, new Promise((resolve) => setTimeout(resolve, END_TIMEOUT_MS).unref())]);
  child.channel?.destroy();
  if (bytes > MAX_REPORT_BYTES) return { kind: "threw", ...tooLarge() };
  if (bytes === 0) {
    const how = exit.signal === null ? `exited with code ${exit.exitCode}` : `was ended by ${exit.signal}`;
    return { kind: "crashed", detail: `the function's process ${how} before the function returned` };
  }
  try {
    const { cpuMs, maxRssBytes, ...report } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Report;
    return { ...(report as Outcome), usage: { cpuMs, maxRssBytes } };
  } catch {
    return { kind: "crashed", detail: "the function's process sent a report that is not one" };
  }
}

function tooLarge(): { error: { name: string; message: string }; detail: string } {
  const message = `expected a value of at most ${MAX_REPORT_BYTES} bytes of JSON; it is larger`;
  return { error: { name: "RangeError", message }, detail: `the function returned what cannot travel: ${message}` };
}
