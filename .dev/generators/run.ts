/**
 * Tries generators of clients with the contract, and writes the table in `openapi/README.md`.
 *
 *   npm run generators
 *   npm run generators -- rust ogen     (only these; the table is printed)
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fillTables } from "../generated.ts";
import { BIN, type Generator, ROOT } from "./generator.ts";
import { OPENAPI_GENERATOR } from "./openapi-generator.ts";
import { OTHERS } from "./others.ts";
import { table } from "./table.ts";
import { type Cells, tried } from "./try.ts";
import { TYPESCRIPT } from "./typescript.ts";

const GENERATORS = [...OPENAPI_GENERATOR, ...TYPESCRIPT, ...OTHERS];
const READY_MS = 60_000;

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

const named = process.argv.slice(2);
const chosen = GENERATORS.filter(({ name }) => named.length === 0 || named.includes(name));
const member = await startMember();
const rows: [Generator, Cells][] = [];
try {
  for (const generator of chosen) {
    process.stderr.write(`${generator.title}\n`);
    const onFailure = (message: string) => process.stderr.write(`${message}\n`);
    rows.push([generator, await tried(generator, { url: member.url, onFailure })]);
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
