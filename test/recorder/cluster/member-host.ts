/** A member on a host of its own: its processes one after the other, and what each has left. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Count } from "../../../openapi/schemas/resources.ts";
import { groupsOf } from "../../helpers/hostile.ts";
import { cleanEnvironment } from "../../helpers/processes.ts";
import { SANDBOX_OPTION } from "../../helpers/sandbox.ts";
import { within } from "../../helpers/wait.ts";
import type { Exit, Rest } from "../history.ts";
import type { Host } from "./network.ts";

const CLI = fileURLToPath(new URL("../../../dist/cli.js", import.meta.url));
const READY_MS = 60_000;
const EXIT_MS = 60_000;
const ASK_MS = 5_000;
const PORT = 7400;
/** The folder of a member's temporary files that is always there: a reserve of named pipes. */
const PIPES = "pipes";
/** The folder of a fence, in the folder of temporary files. */
const FENCE = /^fence-\d+$/;
/** Tells the bytes of the heap in use every 5 seconds, on stderr. */
const TELL_HEAP =
  'setInterval(() => process.stderr.write("heap " + process.memoryUsage().heapUsed + "\\n"), ' +
  "5_000).unref()";
const HEAP_ARGUMENTS = ["--import", `data:text/javascript,${encodeURIComponent(TELL_HEAP)}`];

export interface MemberSetup {
  readonly host: Host;
  readonly consul: string;
  /** The file of its options. */
  readonly config: string;
  /** The program `cli.js` of another release. Default: this one. */
  readonly cli?: string | undefined;
  /** A library that lets its clock step; undefined without one. */
  readonly clock?: { readonly library: string; readonly file: string } | undefined;
}

export class MemberHost {
  readonly name: string;
  readonly url: string;
  readonly host: Host;
  readonly exits: Exit[] = [];
  readonly #setup: MemberSetup;
  readonly #pids: number[] = [];
  #process: ChildProcess | undefined;
  /** Set before a signal that ends the process. */
  #isAsked = false;
  #descriptorsAtStart = 0;
  /** Bytes of its heap that are in use, as it told last. */
  heapBytes = 0;
  log = "";

  constructor(setup: MemberSetup) {
    this.#setup = setup;
    this.host = setup.host;
    this.name = setup.host.name;
    this.url = `http://${setup.host.address}:${PORT}`;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts a process and waits until Consul shows it. */
  async start(): Promise<void> {
    const { host, consul, config, cli = CLI, clock } = this.#setup;
    const { address } = host;
    const faked = clock && {
      LD_PRELOAD: clock.library,
      FAKETIME_TIMESTAMP_FILE: clock.file,
      FAKETIME_CACHE_DURATION: "1",
      NO_FAKE_STAT: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
    // Set on the host only: the library keeps shared memory wherever it is loaded.
    const variables = Object.entries(faked ?? {}).map(([name, value]) => `${name}=${value}`);
    const [program = "", ...args] = [
      ...[...host.enter, "env", ...variables, process.execPath, ...HEAP_ARGUMENTS],
      ...[cli, "serve", "--config", config],
      ...["--host", address, "--port", String(PORT), "--insecure", "--member", host.name],
      ...["--consul", consul, "--sandbox", SANDBOX_OPTION],
    ];
    const env = { ...cleanEnvironment(), TMPDIR: host.temp };
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    this.#isAsked = false;
    this.#pids.push(child.pid as number);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      const heap = [...text.matchAll(/^heap (\d+)$/gm)].at(-1)?.[1];
      if (heap) this.heapBytes = Number(heap);
      this.log = (this.log + text.replaceAll(/^heap \d+\n/gm, "")).slice(-16_384);
    });
    const killAtExit = () => child.kill("SIGKILL");
    process.once("exit", killAtExit);
    child.once("exit", (code, signal) => {
      process.off("exit", killAtExit);
      this.#process = undefined;
      const detail = `code ${code}, signal ${signal}; its log: ${this.log.slice(-2_000)}`;
      this.exits.push({ member: this.name, at: Date.now(), asked: this.#isAsked, detail });
    });
    await within(`member ${this.name} to be ready`, READY_MS, ready(child)).catch((error) => {
      throw new Error(`${(error as Error).message}; its log: ${this.log}`);
    });
    this.#descriptorsAtStart = this.descriptors;
  }

  /** Sends a signal, which may end the process: then it is no failure of the member. */
  signal(signal: NodeJS.Signals): void {
    if (signal === "SIGKILL" || signal === "SIGTERM") this.#isAsked = true;
    this.#process?.kill(signal);
  }

  /** Ends the process in this way and waits for it. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#process;
    if (!child) return;
    const exited = once(child, "exit");
    this.signal(signal);
    if (signal === "SIGKILL") child.kill("SIGCONT");
    await within(`the end of ${this.name} by ${signal}`, EXIT_MS, exited);
  }

  get descriptors(): number {
    return entries(`/proc/${this.pid}/fd`).length;
  }

  /** Bytes of memory that the process has in use. */
  get rssBytes(): number {
    const status = read(`/proc/${this.pid}/status`);
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1_024;
  }

  /** Leaves the process this many free descriptors; undefined gives them all back. */
  limitDescriptors(free?: number): void {
    // Node raises its own limit to the highest one.
    const limits = read(`/proc/${this.pid}/limits`);
    const most = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? "1024";
    const soft = free === undefined ? most : highest(`/proc/${this.pid}/fd`) + 1 + free;
    execFileSync("prlimit", ["--pid", String(this.pid), `--nofile=${soft}:`]);
  }

  /** Steps the wall clock by these seconds, from its true time. */
  stepClock(seconds: number): void {
    const { clock } = this.#setup;
    if (clock) writeFileSync(clock.file, `${seconds >= 0 ? "+" : ""}${seconds}`);
  }

  async count(): Promise<Count> {
    const signal = AbortSignal.timeout(ASK_MS);
    return (await (await fetch(`${this.url}/children/count`, { signal })).json()) as Count;
  }

  /** What the process holds, if there is one, and what earlier processes left. */
  async rest(warm: number): Promise<Rest> {
    const pools = this.isRunning ? Object.values((await this.count()).pools) : [];
    const isOwn = (name: string) => name.startsWith(`distributed-pool-${this.pid}-`);
    const found = this.#pids.flatMap((pid) => groupsOf(`distributed-pool-${pid}-`));
    const paths = found.map((path) => path.slice(path.indexOf("distributed-pool-")));
    const groups = [...new Set(paths)];
    const folders = entries(this.host.tempHere);
    const own = folders.filter(isOwn).map((name) => join(this.host.tempHere, name));
    // The folder of a fence has a file for each child that it holds.
    const files = own.flatMap((folder) =>
      entries(folder).flatMap((name) => (FENCE.test(name) ? entries(join(folder, name)) : [name])),
    );
    return {
      member: this.name,
      active: sum(pools.map(({ active }) => active)),
      queued: sum(pools.map(({ queued }) => queued)),
      groups: groups.filter((path) => isOwn(path) && path.includes("/")),
      files: files.filter((name) => name !== PIPES),
      remains: [...groups, ...folders].filter((name) => !isOwn(name)),
      descriptors: this.isRunning ? this.descriptors : 0,
      warm,
      descriptorsAtStart: this.#descriptorsAtStart,
    };
  }
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (/^ready /m.test(text)) resolve();
    });
    child.once("exit", (code, signal) => reject(new Error(`it ended: ${code ?? signal}`)));
    child.once("error", reject);
  });
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0);

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

const highest = (folder: string) => Math.max(2, ...entries(folder).map(Number));
