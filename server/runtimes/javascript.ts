/** What Node and Bun have in common: their runner, as one file. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Machine, Runner } from "./definition.ts";

const RUNNER = "/run/distributed-pool/runner.mjs";

interface Engine {
  /** On the host, and as it is shown inside. */
  readonly program: string;
  readonly place: string;
  readonly options: readonly string[];
}

export async function javascriptRunner(
  { folder }: Machine,
  { program, place, options }: Engine,
): Promise<Runner> {
  return {
    argv: [place, ...options, RUNNER],
    program: { from: program, to: place },
    file: { from: await runnerFile(folder), to: RUNNER },
    probe: [place, "--version"],
    javascript: true,
  };
}

let bundle: Promise<string> | undefined;

/** The runner. The package has it as one file; in a checkout it is bundled, once for each process, and written into the member's own folder. */
async function runnerFile(folder: string): Promise<string> {
  if (!import.meta.url.endsWith(".ts"))
    return fileURLToPath(new URL("./javascript-runner.js", import.meta.url));
  bundle ??= bundled();
  const file = join(folder, "runner.mjs");
  writeFileSync(file, await bundle, { mode: 0o644 });
  return file;
}

async function bundled(): Promise<string> {
  const { build } = await import("esbuild");
  const entry = fileURLToPath(new URL("./runners/javascript/runner.ts", import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node22",
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}
