/**
 * The cost of each layer of the sandbox for `true` and `node -e 0`: medians taken in turns, as
 * ratios to bare bubblewrap, all of one run. It also counts the threads and descriptors that
 * a thousand children leave in the server.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DistributedPool } from "../../../sdk/typescript/node.ts";
import { PoolOptionsSchema } from "../../../server/member/pool-options.ts";
import { confinementOf } from "../../../server/member/pool-rules.ts";
import { Bubblewrap } from "../../../server/sandbox/bubblewrap.ts";
import {
  bubblewrapArguments,
  insideArguments,
} from "../../../server/sandbox/bubblewrap-arguments.ts";
import { Cgroups } from "../../../server/sandbox/cgroups.ts";
import { chainArguments } from "../../../server/sandbox/chain-arguments.ts";
import { type Etc, EtcFolders } from "../../../server/sandbox/etc.ts";
import { Janitor } from "../../../server/sandbox/janitor.ts";
import { readRoot } from "../../../server/sandbox/root.ts";
import type { Program } from "../../../server/sandbox/sandbox.ts";
import { type SeccompArch, seccompProgram } from "../../../server/sandbox/seccomp.ts";
import { medians } from "./medians.ts";

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 100);
const WARM_UP = 5;
const CHILDREN = 1_000;
const CALLERS = 8;
const NODE = "/run/distributed-pool/node";
const UID = 1_900_000_001;

const confinement = confinementOf(PoolOptionsSchema.parse({ maxChildren: 1 }));
const { limits } = confinement;
const folder = mkdtempSync(join(tmpdir(), "distributed-pool-bench-"));
const filter = join(folder, "filter");
writeFileSync(filter, seccompProgram(process.arch as SeccompArch));
const groups = new Cgroups(`distributed-pool-bench-${process.pid}`);
groups.make();
const janitor = new Janitor(groups.folders, [folder]);
const sandbox = new Bubblewrap("full");
const etc = new EtcFolders(sandbox.folder).of(confinement.grants);

/** Runs a command line to its end, with the seccomp filter at descriptor 6. */
async function run(argv: readonly string[]): Promise<void> {
  const fd = openSync(filter, "r");
  const [file = "", ...args] = argv;
  const child = spawn(file, args, {
    stdio: ["ignore", "ignore", "ignore", "ignore", "ignore", "ignore", fd],
    env: { PATH: "/usr/bin:/bin" },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  closeSync(fd);
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}`);
}

const HOST = { root: readRoot(), group: [], level: "full", cpus: availableParallelism() } as const;

/**
 * The layers; each includes the ones before it. The first is bare bubblewrap with the member's own
 * arguments.
 */
function layers(program: Program, etc: Etc): [string, () => Promise<unknown>][] {
  const all = bubblewrapArguments(program, confinement, { ...HOST, etc }).slice(0, -2);
  const bare = all.slice(0, all.indexOf("--seccomp"));
  const inside = insideArguments(program.argv, limits);
  const uid = process.getuid?.() === 0 ? UID : undefined;
  const chain = chainArguments({ joinFiles: [], uid: undefined }, limits);
  const prlimit = chain.slice(chain.indexOf("prlimit"));
  return [
    ["namespaces (bare bubblewrap)", () => run(["bwrap", ...bare, "--", ...program.argv])],
    ["+ seccomp filter", () => run(["bwrap", ...all, "--", ...program.argv])],
    ["+ process limit inside", () => run(["bwrap", ...all, "--", ...inside])],
    ["+ rlimits", () => run([...prlimit, "bwrap", ...all, "--", ...inside])],
    [
      "+ no new privileges, uid drop",
      () =>
        run([...chainArguments({ joinFiles: [], uid }, limits), "bwrap", ...all, "--", ...inside]),
    ],
    [
      "+ control group",
      async () => {
        const group = groups.create(limits);
        await run([
          ...chainArguments({ joinFiles: group.joinFiles, uid }, limits),
          "bwrap",
          ...all,
          "--",
          ...inside,
        ]);
        await group.remove();
      },
    ],
    [
      "+ pipes, status, server's own part",
      async () => {
        const child = await sandbox.launch(program, confinement);
        child.stdout.resume();
        child.stderr.resume();
        await child.exited;
      },
    ],
  ];
}

try {
  const plain = { env: {}, channel: false, stdin: false };
  const programs: [string, Program][] = [
    ["true", { ...plain, argv: ["true"], readOnly: [] }],
    [
      "node -e 0",
      { ...plain, argv: [NODE, "-e", "0"], readOnly: [{ from: process.execPath, to: NODE }] },
    ],
  ];
  for (const [name, program] of programs) {
    const subjects: [string, () => Promise<unknown>][] = [
      [
        "no sandbox",
        () => run([program.argv[0] === NODE ? process.execPath : "true", ...program.argv.slice(1)]),
      ],
      ...layers(program, await etc),
    ];
    const times = await medians(
      subjects.map(([, measured]) => measured),
      ROUNDS,
      WARM_UP,
    );
    const base = times[1] ?? Number.NaN;
    console.log(`\`${name}\`, medians of ${ROUNDS}:`);
    for (const [index, [layer]] of subjects.entries()) {
      const time = times[index] ?? Number.NaN;
      console.log(
        `  ${layer.padEnd(36)} ${time.toFixed(2).padStart(7)} ms  ` +
          `${(time / base).toFixed(2)} x bare bubblewrap`,
      );
    }
  }
} finally {
  await sandbox.close();
  await janitor.clean();
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
  const pools = new DistributedPool({ url }).with({ stdout: null, stderr: null });
  const calls = async (count: number) => {
    let left = count;
    const caller = async () => {
      while (left-- > 0) await pools.call("pipeline", { command: ["true"] });
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
  };
  const descriptors = () =>
    readdirSync(`/proc/${server.pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${server.pid}/fd/${fd}`);
      } catch {
        return "gone";
      }
    });
  // Connections belong to the callers, who keep them open for a while.
  const counts = () => {
    const open = descriptors();
    const sockets = open.filter((target) => target.startsWith("socket:")).length;
    return (
      `${readdirSync(`/proc/${server.pid}/task`).length} threads, ` +
      `${open.length - sockets} descriptors and ${sockets} sockets`
    );
  };
  // The first calls make the pools of threads and connections.
  await calls(CALLERS * 4);
  console.log(`server before ${CHILDREN} children: ${counts()}`);
  await calls(CHILDREN);
  console.log(`server after ${CHILDREN} children:  ${counts()}`);
  await pools.close();
} finally {
  server.kill("SIGTERM");
  await once(server, "exit");
}
