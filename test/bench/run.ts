/**
 * A call beside the bare process that it runs: medians one after the other, and rates with 16 at a
 * time. One run on one machine measures everything, so the ratios hold where the times do not.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DistributedPool } from "../../sdk/typescript/node.ts";
import { PoolOptionsSchema } from "../../server/member/pool-options.ts";
import { confinementOf } from "../../server/member/pool-rules.ts";
import { bubblewrapArguments } from "../../server/sandbox/bubblewrap-arguments.ts";
import { EtcFolders } from "../../server/sandbox/etc.ts";
import { readRoot } from "../../server/sandbox/root.ts";
import type { Program } from "../../server/sandbox/sandbox.ts";
import { medians } from "./measure.ts";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 200);
const WARM_UP = 10;
const CALLERS = 16;
const NODE = "/run/distributed-pool/node";

const folder = mkdtempSync(join(tmpdir(), "dpool-bench-"));
process.once("exit", () => rmSync(folder, { recursive: true }));
const confinement = confinementOf(PoolOptionsSchema.parse({ maxChildren: 1 }));
const plain: Program = { argv: [], env: {}, readOnly: [], channel: false, stdin: false };
const parts = {
  root: readRoot(),
  etc: await new EtcFolders(folder).of(confinement.grants),
  group: [],
  level: "full",
  cpus: availableParallelism(),
} as const;
const TRUE = bubblewrapArguments(plain, confinement, parts);
const WITH_NODE = bubblewrapArguments(
  { ...plain, readOnly: [{ from: process.execPath, to: NODE }] },
  confinement,
  parts,
);

/** Runs a program under bubblewrap with the member's own arguments, and nothing else around it. */
async function bare(args: readonly string[], ...argv: string[]): Promise<void> {
  const withoutStatus = args.slice(0, args.indexOf("--seccomp"));
  const child = spawn("bwrap", [...withoutStatus, "--", ...argv], {
    stdio: "ignore",
    env: { PATH: "/usr/bin:/bin" },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`bare ${argv.join(" ")} ended with ${code}`);
}

/** Runs with 16 callers, each of which starts again at once. */
async function rate(run: () => Promise<unknown>): Promise<number> {
  let left = ROUNDS * 4;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (left-- > 0) await run();
    }),
  );
  return (ROUNDS * 4) / ((performance.now() - start) / 1_000);
}

const server = spawn(
  process.execPath,
  ["dist/cli.js", "dev", "--members", "1", "--pool", `pipeline=${CALLERS}`, "--port", "0"],
  {
    stdio: ["ignore", "pipe", "inherit"],
  },
);
try {
  let url = "";
  for await (const line of createInterface({ input: server.stdout })) {
    url = line.split(" ")[1] ?? "";
    break;
  }
  const pools = new DistributedPool({ url });
  const quiet = pools.with({ stdout: null, stderr: null });
  const subjects: [string, () => Promise<unknown>, () => Promise<unknown>][] = [
    [
      "command `true`",
      () => bare(TRUE, "true"),
      () => quiet.call("pipeline", { command: ["true"] }),
    ],
    [
      "function `() => 1`",
      () => bare(WITH_NODE, NODE, "-e", "0"),
      () => quiet.call("pipeline", () => 1),
    ],
  ];
  for (const [name, bareRun, callRun] of subjects) {
    const [bareMs = Number.NaN, callMs = Number.NaN] = await medians(
      [bareRun, callRun],
      ROUNDS,
      WARM_UP,
    );
    console.log(
      `${name}: bare ${bareMs.toFixed(2)} ms, call ${callMs.toFixed(2)} ms, ` +
        `ratio ${(callMs / bareMs).toFixed(2)}`,
    );
    const [bareRate, callRate] = [await rate(bareRun), await rate(callRun)];
    console.log(
      `${name}: ${CALLERS} at a time: bare ${bareRate.toFixed(0)}/s, ` +
        `calls ${callRate.toFixed(0)}/s, ratio ${(callRate / bareRate).toFixed(2)}`,
    );
  }
  await pools.close();
} finally {
  server.kill("SIGTERM");
  await once(server, "exit");
}
