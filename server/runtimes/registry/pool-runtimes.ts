/** The runtimes of all pools of a member. A reload opens only those whose options differ. */
import { isDeepStrictEqual } from "node:util";
import { StartQueue } from "../functions/start-queue.ts";
import type { Tasks } from "../tasks.ts";
import { RuntimeRegistry, type RuntimeRegistryOptions } from "./runtime-registry.ts";

/** The options of one pool. */
type PoolSetup = Pick<RuntimeRegistryOptions, "confinement" | "warm" | "reuse">;

export interface PoolRuntimesOptions
  extends Pick<RuntimeRegistryOptions, "sandbox" | "path" | "configured"> {
  readonly tasks: Tasks;
  readonly log: (message: string) => void;
}

interface OpenPool {
  readonly setup: PoolSetup;
  readonly runtimes: RuntimeRegistry;
}

export class PoolRuntimes {
  readonly #options: PoolRuntimesOptions;
  readonly #startQueue = new StartQueue();
  #pools: ReadonlyMap<string, OpenPool> = new Map();

  constructor(options: PoolRuntimesOptions) {
    this.#options = options;
  }

  /**
   * Opens the runtimes of these pools. Closes those that are replaced and those of removed pools;
   * calls in them run on. Changes nothing when it throws.
   *
   * @throws {PoolError} `sandbox_unavailable`; `invalid_request` for a task that does not load.
   */
  async open(
    setups: ReadonlyMap<string, PoolSetup>,
  ): Promise<ReadonlyMap<string, RuntimeRegistry>> {
    const results = await Promise.allSettled(
      [...setups].map(async ([pool, setup]) => [pool, await this.#openOne(pool, setup)] as const),
    );
    const next = new Map(
      results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
    );
    const failed = results.find((result) => result.status === "rejected");
    const [from, to] = failed ? [next, this.#pools] : [this.#pools, next];
    for (const [name, pool] of from) if (to.get(name) !== pool) void pool.runtimes.close();
    if (failed) throw failed.reason;
    this.#pools = next;
    return new Map([...next].map(([name, { runtimes }]) => [name, runtimes]));
  }

  /** Kills all waiting processes. */
  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(({ runtimes }) => runtimes.close()));
  }

  async #openOne(name: string, setup: PoolSetup): Promise<OpenPool> {
    const pool = this.#pools.get(name);
    if (pool && isDeepStrictEqual(pool.setup, setup)) return pool;
    const { log, ...options } = this.#options;
    if (setup.reuse !== undefined)
      log(
        `pool ${name} reuses processes: what a call leaves in its process, ` +
          "the next call of the same caller finds",
      );
    const runtimes = await RuntimeRegistry.open({
      ...options,
      ...setup,
      startQueue: this.#startQueue,
      log: (message) => log(`pool ${name}: ${message}`),
    });
    const { sandbox, tasks } = options;
    const { confinement } = setup;
    try {
      await tasks.check(name, (call) => runtimes.of(call), {
        sandbox,
        confinement,
        files: undefined,
        artifacts: [],
      });
    } catch (error) {
      await runtimes.close();
      throw error;
    }
    return { setup, runtimes };
  }
}
