/**
 * The time that a warm process and a reused one save, from call to value, beside a bare process
 * that
 * answers over a pipe. It also prints how fast warm processes are replaced, and the memory that
 * each
 * holds while it waits. One run measures all of it, without HTTP.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { PoolOptionsSchema } from "../../server/member/pool-options.ts";
import { confinementOf } from "../../server/member/pool-rules.ts";
import { StartQueue } from "../../server/runtimes/functions/start-queue.ts";
import {
  RuntimeRegistry,
  type RuntimeRegistryOptions,
} from "../../server/runtimes/registry/runtime-registry.ts";
import { Bubblewrap } from "../../server/sandbox/bubblewrap.ts";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 100);
const WARM_UP = 5;
const REFILLS = 60;
const WAITING = 8;
/** How long a warm process rests before its memory is read, so that the memory has settled. */
const SETTLE_MS = 500;

const confinement = confinementOf(PoolOptionsSchema.parse({ maxChildren: 1 }));
const sandbox = new Bubblewrap("full");
const open = (options: Pick<RuntimeRegistryOptions, "warm" | "reuse">) =>
  RuntimeRegistry.open({
    sandbox,
    confinement,
    path: process.env.PATH ?? "",
    configured: {},
    startQueue: new StartQueue(),
    ...options,
  });
const fn = (runtime: string, source = "() => 1") => ({
  runtime,
  source,
  args: [],
  encoding: "json" as const,
});

async function call(runtimes: RuntimeRegistry): Promise<() => Promise<unknown>> {
  const context = { member: "m", pool: "p", childId: "c", deadline: null };
  const work = {
    spec: { function: fn("node"), outputEncoding: "text" as const, waitMs: 0, link: false },
    call: fn("node"),
    context,
    client: "c",
    onProgress: () => {},
  };
  const started = await runtimes
    .of(fn("node"))
    .start(work, { sandbox, confinement, files: undefined, artifacts: [] });
  started.process.stdin?.end();
  started.process.stdout.resume();
  started.process.stderr.resume();
  const outcome = await started.outcome;
  if (outcome.kind !== "returned") throw new Error(JSON.stringify(outcome));
  return () => started.process.exited;
}

async function filled(runtimes: RuntimeRegistry, name: string, size: number): Promise<void> {
  while (runtimes.idle.warm[name] !== size) await new Promise((resolve) => setTimeout(resolve, 1));
}

const median = (times: number[]) =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;

/** A bare process that answers each line that it reads. */
const ANSWER =
  'const s = new (require("node:net").Socket)({ fd: 3 }); s.on("data", (line) => ' +
  's.write(JSON.stringify({ value: eval(JSON.parse(line).source)() }) + "\\n"));';
function startBare(script: string) {
  const child = spawn(process.execPath, ["-e", script], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  return { child, channel: (child.stdio as unknown[])[3] as Duplex };
}

try {
  const bare = startBare(ANSWER);
  const [cold, warm, reuse] = [
    await open({}),
    await open({ warm: { node: 1 } }),
    await open({ reuse: { maxIdle: 1, maxUses: 1_000, maxMemoryBytes: 512 * 1024 * 1024 } }),
  ];
  const subjects: [name: string, prepare: () => Promise<unknown>, run: () => Promise<unknown>][] = [
    [
      "bare process over a pipe",
      async () => {},
      () => {
        const answered = once(bare.channel, "data");
        bare.channel.write(`${JSON.stringify(fn("node"))}\n`);
        return answered;
      },
    ],
    ["used again (reuse)", async () => {}, () => call(reuse)],
    ["waiting (warm), used once", () => filled(warm, "node", 1), () => call(warm)],
    ["started for the call (cold)", async () => {}, () => call(cold)],
  ];
  const times: number[][] = subjects.map(() => []);
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [index, [, prepare, run]] of subjects.entries()) {
      await prepare();
      const start = performance.now();
      const end = await run();
      if (round >= 0) times[index]?.push(performance.now() - start);
      if (typeof end === "function") await end();
    }
  }
  const [base = Number.NaN] = times.map(median);
  console.log(`from call to value, node, medians of ${ROUNDS}:`);
  for (const [index, [name]] of subjects.entries()) {
    const time = median(times[index] ?? []);
    console.log(
      `  ${name.padEnd(28)} ${time.toFixed(2).padStart(7)} ms  ${(time / base).toFixed(1)} x bare`,
    );
  }
  bare.child.kill();
  await Promise.all([cold.close(), warm.close(), reuse.close()]);

  let start = performance.now();
  for (let n = 0; n < REFILLS; n++) {
    const { child, channel } = startBare(
      'const s = new (require("node:net").Socket)({ fd: 3 }); s.write("ready\\n"); s.resume()',
    );
    await once(channel, "data");
    child.kill("SIGKILL");
  }
  const bareRate = REFILLS / ((performance.now() - start) / 1_000);
  const refilled = await open({ warm: { node: 1 } });
  await filled(refilled, "node", 1);
  start = performance.now();
  for (let n = 0; n < REFILLS; n++) {
    void call(refilled);
    await filled(refilled, "node", 0);
    await filled(refilled, "node", 1);
  }
  const rate = REFILLS / ((performance.now() - start) / 1_000);
  console.log(
    `replaced: ${rate.toFixed(0)}/s, bare starts one after the other: ${bareRate.toFixed(0)}/s, ` +
      `ratio ${(rate / bareRate).toFixed(2)}`,
  );
  await refilled.close();

  for (const name of refilled.names) {
    const waiting = await open({ warm: { [name]: WAITING } });
    await filled(waiting, name, WAITING);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const pss = runners().map(
      (pid) =>
        Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]) /
        1_024,
    );
    const mean = pss.reduce((sum, each) => sum + each, 0) / pss.length;
    console.log(`waiting ${name}: ${mean.toFixed(1)} MiB PSS each, of ${pss.length}`);
    await waiting.close();
  }
} finally {
  await sandbox.close();
}

/** The processes that run a runner of this sandbox. */
function runners(): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      const [program = "", ...rest] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return (
        /\/(node|bun)$|^python3/.test(program) &&
        rest.some((argument) => /^\/run\/distributed-pool\/runner\./.test(argument)) &&
        readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`-${process.pid}-`)
      );
    } catch {
      return false;
    }
  });
}
