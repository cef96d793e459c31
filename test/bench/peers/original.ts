/** The original in Elixir: pools of 1 to 1,000 members on local nodes. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { within } from "../../helpers/wait.ts";
import type { PeerTask } from "../programs/peer-client.ts";
import { TOOLS, toolsEnvironment } from "./install.ts";
import { freePort, type Running, runningOf, startServer } from "./programs.ts";

const SOURCE = fileURLToPath(new URL("original.ex", import.meta.url));
/** 20 nodes start one after the other. */
const READY_MS = 90_000;
const ANSWER_MS = 90_000;
export const SIZES = [1, 10, 100, 1_000];

export interface OriginalAnswer {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Calls that no member took: the least loaded one was full by then. */
  readonly failed: number;
}

export class Original {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #running: readonly Running[];

  private constructor(child: ChildProcess, running: readonly Running[]) {
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    this.#running = running;
  }

  /** Compiles and starts it. @throws where the compiler fails. */
  static async start(): Promise<Original> {
    const folder = join(TOOLS, "original");
    mkdirSync(folder, { recursive: true });
    const port = await freePort();
    const env = { ...toolsEnvironment(), ERL_EPMD_PORT: String(port) };
    const compiled = spawnSync("elixirc", ["-o", folder, SOURCE], { env, encoding: "utf8" });
    if (compiled.status !== 0) throw new Error(`elixirc: ${compiled.error ?? compiled.stderr}`);
    // Erlang would start a name server that stays when its nodes are gone.
    const names = await startServer("epmd", ["-port", String(port)], port);
    const name = `bench_${process.pid}@127.0.0.1`;
    const args = ["--name", name, "-pa", folder, "-e", "Original.main()"];
    const child = spawn("elixir", args, { env, stdio: ["pipe", "pipe", "inherit"] });
    const original = new Original(child, [runningOf("elixir", child), names]);
    const line = await original.#line("the nodes of the original", READY_MS);
    if (line !== "ready") throw new Error(`expected ready; got ${line}`);
    return original;
  }

  async #line(label: string, ms: number): Promise<string> {
    const gone = once(this.#process, "exit").then(() => {
      throw new Error("elixir ended");
    });
    gone.catch(() => {});
    const line = once(this.#lines, "line") as Promise<[string]>;
    return (await within(label, ms, Promise.race([line, gone])))[0];
  }

  async run(size: number, { callers, ms }: PeerTask): Promise<OriginalAnswer> {
    const answer = this.#line(`an answer of the original with ${size} members`, ANSWER_MS);
    this.#process.stdin?.write(`${size} ${callers} ${ms}\n`);
    return JSON.parse(await answer) as OriginalAnswer;
  }

  /** Its nodes end with the node that started them. */
  async end(): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.stdin?.end();
    await within("the end of the original", ANSWER_MS, exited);
    await this.#running[1]?.end();
  }
}
