/** The sandboxes of a pool that wait for commands: made beforehand, and replaced when taken. */
import type { Confinement } from "../sandbox/confinement.ts";
import {
  canPrepare,
  type PoolSandbox,
  type PreparedSandbox,
  preparedCall,
  prepareSandbox,
} from "../sandbox/prepared.ts";
import type { Program, SandboxedProcess } from "../sandbox/sandbox.ts";
import type { StartQueue } from "./functions/start-queue.ts";
import { hasSpareMemory, WarmPool } from "./functions/warm-pool.ts";

/**
 * 1 minute until a sandbox that waits is replaced: it shows files of the host as they were when it
 * was made, such as `/etc/resolv.conf`.
 */
const MAX_AGE_MS = 60_000;
const CHECK_MS = 2_000;
/** 1 second in which the pool's own start, and the calls that wait for it, come first. */
const DELAY_MS = 1_000;
/** Sandboxes are given up with half of the memory free that a new one needs. */
const PRESSURE = 0.5;

export interface PreparedSandboxesOptions extends PoolSandbox {
  /** The number of sandboxes that wait at a time. */
  readonly size: number;
  readonly startQueue: StartQueue;
  readonly log: (message: string) => void;
}

export class PreparedSandboxes {
  readonly #pool: PoolSandbox;
  readonly #waiting: WarmPool<PreparedSandbox>;
  readonly #checking: NodeJS.Timeout | undefined;

  constructor(options: PreparedSandboxesOptions) {
    const { size, startQueue, log } = options;
    this.#pool = options;
    const wanted = canPrepare(options) ? size : 0;
    this.#waiting = new WarmPool({
      size: wanted,
      start: () => prepareSandbox(options),
      startQueue,
      delayMs: DELAY_MS,
      onTrouble: (reason) => log(`no sandbox waits for commands, will try again: ${reason}`),
    });
    if (wanted > 0) this.#checking = setInterval(() => this.#check(), CHECK_MS).unref();
  }

  /** The number of sandboxes that wait now. */
  get idle(): number {
    return this.#waiting.idle;
  }

  /** The number of sandboxes that were taken so far. */
  get taken(): number {
    return this.#waiting.taken;
  }

  /** Runs a program in a sandbox that waits; undefined where none does, or none can take it. */
  run(program: Program, confinement: Confinement): SandboxedProcess | undefined {
    if (this.idle === 0) return undefined;
    const call = preparedCall(program, confinement, this.#pool);
    if (!call) return undefined;
    try {
      return this.#waiting.take()?.run(call);
    } catch {
      // It has ended in this moment, or its group takes no lower limit. Nothing was run.
      return undefined;
    }
  }

  /** Ends the sandboxes that wait, and makes no more. Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#checking);
    await this.#waiting.close();
  }

  #check(): void {
    if (this.idle === 0) return;
    const isScarce = !hasSpareMemory(process.availableMemory() / PRESSURE);
    this.#waiting.giveUp(isScarce ? 0 : MAX_AGE_MS);
  }
}
