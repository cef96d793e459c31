/** The packages as a user installs them, and what a program that uses the SDK finds. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** 2 minutes for npm to pack or to install. */
const NPM_TIMEOUT_MS = 120_000;

/** What `use()` of the fixture finds, on every platform. */
export const FOUND = {
  value: 1212,
  text: "é\n",
  fed: "in600000\n",
  ended: "cancelled",
  file: "left\n",
  error: [true, false, true],
  timeout: "TimeoutError",
  reason: true,
};

const npm = (args: readonly string[], cwd = ROOT) =>
  run("npm", [...args], { cwd, timeout: NPM_TIMEOUT_MS });

export interface Packed {
  readonly sdk: string;
  readonly root: string;
  remove(): Promise<void>;
}

/** Packs both packages, which have been built. */
export async function pack(): Promise<Packed> {
  const folder = await mkdtemp(join(tmpdir(), "distributed-pool-packed-"));
  const options = ["--ignore-scripts", "--silent", "--pack-destination", folder];
  await npm(["pack", ...options]);
  await npm(["pack", "--workspace", "@distributed-pool/sdk", ...options]);
  const names = await readdir(folder);
  const named = (prefix: RegExp) => join(folder, names.find((name) => prefix.test(name)) ?? "");
  return {
    sdk: named(/^distributed-pool-sdk-/),
    root: named(/^distributed-pool-\d/),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

export interface Project {
  readonly folder: string;
  write(name: string, text: string): Promise<void>;
  /** Runs a program in the folder, and gives its stdout. */
  run(program: string, ...args: string[]): Promise<string>;
  remove(): Promise<void>;
}

/** An empty project with tarballs installed, and the fixture. */
export async function install(tarballs: readonly string[]): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), "distributed-pool-project-"));
  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  await write("package.json", '{"name":"user","private":true,"type":"module"}');
  await npm(["install", "--prefer-offline", "--no-audit", "--no-fund", ...tarballs], folder);
  await cp(join(ROOT, "test/fixtures/sdk/use.mjs"), join(folder, "use.mjs"));
  return {
    folder,
    write,
    run: async (program, ...args) =>
      (await run(program, args, { cwd: folder, timeout: NPM_TIMEOUT_MS })).stdout,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
