/** The runtimes of all pools of a member, opened anew only where a pool's options ask for others. */
import { isDeepStrictEqual } from "node:util";
import { StartQueue } from "./functions/start-queue.ts";
import { RuntimeRegistry, type RuntimeRegistryOptions } from "./registry.ts";
import type { Tasks } from "./tasks.ts";

type Wanted = Pick<RuntimeRegistryOptions, "confinement" | "warm" | "reuse">;

export interface PoolRuntimesOptions
  extends Pick<RuntimeRegistryOptions, "sandbox" | "path" | "configured"> {
  readonly tasks: Tasks;
  readonly log: (message: string) => void;
}

interface Held {
  readonly wanted: Wanted;
  readonly runtimes: RuntimeRegistry;
}

export class PoolRuntimes {
  readonly #options: PoolRuntimesOptions;
  readonly #turns = new StartQueue();
  #held: ReadonlyMap<string, Held> = new Map();

  constructor(options: PoolRuntimesOptions) {
    this.#options = options;
  }

  /**
   * The runtimes of these pools. Those that are replaced, and those of pools that have gone, are closed; calls in them go on.
   *
   * @throws {PoolError} `sandbox_unavailable`; `invalid_request` for a task that does not load in one of them. Nothing has changed then.
   */
  async open(pools: ReadonlyMap<string, Wanted>): Promise<ReadonlyMap<string, RuntimeRegistry>> {
    const opened = await Promise.allSettled(
      [...pools].map(async ([pool, wanted]) => [pool, await this.#openOne(pool, wanted)] as const),
    );
    const next = new Map(
      opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : [])),
    );
    const failed = opened.find((each) => each.status === "rejected");
    const [from, to] = failed ? [next, this.#held] : [this.#held, next];
    for (const [pool, held] of from) if (to.get(pool) !== held) void held.runtimes.close();
    if (failed) throw failed.reason;
    this.#held = next;
    return new Map([...next].map(([pool, { runtimes }]) => [pool, runtimes]));
  }

  /** Ends all processes that wait. */
  async close(): Promise<void> {
    await Promise.all([...this.#held.values()].map(({ runtimes }) => runtimes.close()));
  }

  async #openOne(pool: string, wanted: Wanted): Promise<Held> {
    const held = this.#held.get(pool);
    if (held && isDeepStrictEqual(held.wanted, wanted)) return held;
    const { log, ...options } = this.#options;
    if (wanted.reuse !== undefined)
      log(
        `pool ${pool} reuses processes: what a call leaves in its process, the next call of the same caller finds`,
      );
    const runtimes = await RuntimeRegistry.open({
      ...options,
      ...wanted,
      turns: this.#turns,
      log: (message) => log(`pool ${pool}: ${message}`),
    });
    const place = {
      sandbox: options.sandbox,
      confinement: wanted.confinement,
      files: undefined,
      artifacts: [],
    };
    try {
      await options.tasks.check(pool, (call) => runtimes.of(call), place);
    } catch (error) {
      await runtimes.close();
      throw error;
    }
    return { wanted, runtimes };
  }
}
