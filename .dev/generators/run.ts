/**
 * Tries generators of clients with the contract: each generates a client, compiles it, and calls a
 * member with it. Writes the table in `openapi/README.md`.
 *
 *   npm run generators
 *   npm run generators -- rust ogen     (only these; the table is printed)
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  accessSync,
  constants,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createInterface } from "node:readline";
import { fillTables } from "../generated.ts";
import { BIN, CHECKS, type Check, type Generator, ROOT, TOOLS } from "./generator.ts";
import { OPENAPI_GENERATOR } from "./openapi-generator.ts";
import { OTHERS } from "./others.ts";
import { type Command, linesOf, type Place, step } from "./steps.ts";
import { type Cells, table } from "./table.ts";
import { TYPESCRIPT } from "./typescript.ts";

const GENERATORS = [...OPENAPI_GENERATOR, ...TYPESCRIPT, ...OTHERS];
const READY_MS = 60_000;

/** Whether a program is a file that runs, or is in a folder of PATH. */
function hasProgram(program: string): boolean {
  const folders = program.includes("/") ? [""] : (process.env["PATH"] ?? "").split(":");
  return folders.some((folder) => {
    try {
      accessSync(folder ? `${folder}/${program}` : program, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Starts a member with two pools on a free port. Closing it stops it. */
async function startMember(): Promise<{ url: string; stop(): Promise<void> }> {
  const pools = ["--pool", "pipeline=5", "--pool", "single=1"];
  const argv = [`${ROOT}dist/cli.js`, "dev", "--members", "1", "--port", "0", ...pools];
  const child = spawn(`${BIN}/node`, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const stop = async () => {
    const ended = once(child, "exit");
    child.kill();
    child.kill();
    await ended;
  };
  const signal = AbortSignal.timeout(READY_MS);
  for await (const line of createInterface({ input: child.stdout, signal })) {
    const url = /^ready (\S+)/.exec(line)?.[1];
    if (url) return { url, stop };
  }
  throw new Error(`expected a member that is ready in ${READY_MS} ms; got none`);
}

/** The cells of the checks that a call program makes. */
function cellsOf(lines: readonly string[]): Partial<Record<Check, string>> {
  const answers = lines.flatMap((line) => {
    const [, check, outcome] = /^(call|place|errors|stream): (.*)$/.exec(line) ?? [];
    return check && outcome ? [[check, outcome === "ok" ? "✓" : `✗ ${outcome}`] as const] : [];
  });
  return Object.fromEntries(answers);
}

async function steps(commands: readonly Command[] = [], place: Place): Promise<void> {
  for (const command of commands) await step(command, place);
}

/** Tries one generator. A step that fails leaves its cause in the first cell that has none. */
async function tried(generator: Generator, url: string): Promise<Cells> {
  const missing = generator.needs.filter((program) => !hasProgram(program));
  if (missing.length > 0) return { skipped: `skipped: no ${missing.join(", ")}` };
  const folder = `${TOOLS}/work/${generator.name}`;
  rmSync(folder, { recursive: true, force: true });
  cpSync(new URL(generator.name, import.meta.url), folder, { recursive: true });
  const place = { folder, log: `${folder}/log` };
  writeFileSync(place.log, "");
  process.env["POOL_URL"] = url;
  const cells: Cells = {};
  try {
    await steps(generator.install, place);
    await steps(generator.generate, place);
    cells.generates = "✓";
    await steps(generator.compile, place);
    cells.compiles = "✓";
    await steps(generator.call.slice(0, -1), place);
    const last = generator.call.slice(-1);
    const answers = await Promise.all(last.map((each) => linesOf(each, place)));
    Object.assign(cells, cellsOf(answers.flat()));
  } catch (error) {
    process.stderr.write(`${generator.title}: ${(error as Error).message}\n`);
  }
  for (const check of CHECKS) cells[check] ??= "✗";
  return cells;
}

const named = process.argv.slice(2);
const chosen = GENERATORS.filter(({ name }) => named.length === 0 || named.includes(name));
mkdirSync(TOOLS, { recursive: true });
process.env["CARGO_TARGET_DIR"] = `${TOOLS}/cargo`;
const member = await startMember();
const rows: [Generator, Cells][] = [];
try {
  for (const generator of chosen) {
    process.stderr.write(`${generator.title}\n`);
    rows.push([generator, await tried(generator, member.url)]);
  }
} finally {
  await member.stop();
}
const text = table(rows);
process.stdout.write(text);
const isWhole = rows.length === GENERATORS.length && rows.every(([, { skipped }]) => !skipped);
if (isWhole) {
  const page = `${ROOT}openapi/README.md`;
  writeFileSync(page, fillTables(readFileSync(page, "utf8"), { generators: text }));
} else process.stderr.write("Not all generators ran, so the page keeps its table.\n");
if (text.includes("✗")) process.exitCode = 1;
