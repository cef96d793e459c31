/** The runner that Node and Bun share, as one file. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Machine, Runner } from "./definition.ts";

const RUNNER = "/run/distributed-pool/runner.mjs";

interface Engine {
  /** The program's path on the host. */
  readonly program: string;
  /** The program's path inside the sandbox. */
  readonly path: string;
  readonly options: readonly string[];
}

export async function javascriptRunner(
  { folder }: Machine,
  { program, path, options }: Engine,
): Promise<Runner> {
  return {
    argv: [path, ...options, RUNNER],
    program: { from: program, to: path },
    file: { from: await runnerFile(folder), to: RUNNER },
    probe: [path, "--version"],
    javascript: true,
  };
}

let bundle: Promise<string> | undefined;

/**
 * The path of the runner. The package contains it as one file. In a checkout, each process bundles
 * it once and writes it into the member's folder.
 */
async function runnerFile(folder: string): Promise<string> {
  if (!import.meta.url.endsWith(".ts"))
    return fileURLToPath(new URL("./javascript-runner.js", import.meta.url));
  bundle ??= bundleRunner();
  const file = join(folder, "runner.mjs");
  writeFileSync(file, await bundle, { mode: 0o644 });
  return file;
}

async function bundleRunner(): Promise<string> {
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
