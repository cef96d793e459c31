/**
 * Serves a member's pools: opens, changes and ends the supervisor and the runtimes of each pool.
 */
import type { Member } from "../../sdk/typescript/placement/members.ts";
import type { PoolRuntimes } from "../runtimes/registry/pool-runtimes.ts";
import type { RuntimeRegistry } from "../runtimes/registry/runtime-registry.ts";
import { probeConfinements } from "../sandbox/open-sandbox.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { type ChangeableOptions, Supervisor } from "../supervisor/supervisor.ts";
import { fetchRulesOf } from "../workspace/fetch-rules.ts";
import type { CheckedPool } from "./check-options.ts";
import { confinementOf } from "./pool-options.ts";
import type { Settings } from "./settings.ts";

type Pools = ReadonlyMap<string, CheckedPool>;

interface PreparedPools {
  readonly pools: Pools;
  readonly runtimes: ReadonlyMap<string, RuntimeRegistry>;
}

export class MemberPools {
  /**
   * The supervisors by pool. A pool that has left the options stays until its children are
   * forgotten.
   */
  readonly supervisors = new Map<string, Supervisor>();
  readonly #sandbox: Sandbox;
  readonly #runtimes: PoolRuntimes;
  #served: Pools = new Map();

  constructor(sandbox: Sandbox, runtimes: PoolRuntimes) {
    this.#sandbox = sandbox;
    this.#runtimes = runtimes;
  }

  /**
   * Proves that the sandbox holds under each pool's limits and grants, and opens the pools'
   * runtimes.
   *
   * @throws {PoolError} `sandbox_unavailable`; `invalid_request` for a task that does not load.
   *   Nothing has changed then.
   */
  async prepare(pools: Pools): Promise<PreparedPools> {
    await probeConfinements(this.#sandbox, [...pools.values()].map(confinementOf));
    const runtimes = await this.#runtimes.open(
      new Map(
        [...pools].map(([pool, options]) => [
          pool,
          {
            confinement: confinementOf(options),
            warm: options.warm,
            reuse: options.reuse ? options.maxChildren : undefined,
          },
        ]),
      ),
    );
    return { pools, runtimes };
  }

  /**
   * Serves these pools from now on. Children of all other pools may end, and be read afterwards.
   */
  serve({ pools, runtimes }: PreparedPools, settings: Settings, { name, url }: Member): void {
    const before = this.#served;
    this.#served = pools;
    for (const [pool, registry] of runtimes) {
      const options = changeableOf(pools.get(pool) as CheckedPool, settings, registry);
      const supervisor = this.supervisors.get(pool);
      if (supervisor) supervisor.update(options);
      else
        this.supervisors.set(
          pool,
          new Supervisor({
            pool,
            member: name,
            url,
            sandbox: this.#sandbox,
            folder: this.#sandbox.folder,
            ...options,
          }),
        );
    }
    for (const pool of before.keys()) if (!pools.has(pool)) void this.#retire(pool);
  }

  /** The number of children that run now. */
  get active(): number {
    return this.#all.reduce((sum, supervisor) => sum + supervisor.count().active, 0);
  }

  /** Admits nothing more, and sends the callers that wait to other members. */
  drain(): void {
    for (const supervisor of this.#all) supervisor.drain();
  }

  /** Resolves when the children that run now have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#all.map((supervisor) => supervisor.settled()));
  }

  /** Stops all children; resolves when the last event of each is in its log. */
  async stopAll(detail: string): Promise<void> {
    await Promise.all(this.#all.map((supervisor) => supervisor.stopAll("cancelled", detail)));
  }

  /** Forgets the children that have ended, and their logs. */
  close(): void {
    for (const supervisor of this.#all) supervisor.close();
  }

  get #all(): Supervisor[] {
    return [...this.supervisors.values()];
  }

  async #retire(pool: string): Promise<void> {
    const supervisor = this.supervisors.get(pool);
    supervisor?.drain();
    await supervisor?.forgotten();
    // A reload may have brought the pool back in the meantime.
    if (!this.#served.has(pool)) this.supervisors.delete(pool);
  }
}

/** The options of a supervisor that may change while it runs. */
function changeableOf(
  pool: CheckedPool,
  { graceMs, rememberMs, deadlineMs }: Settings,
  runtimes: RuntimeRegistry,
): ChangeableOptions {
  return {
    maxChildren: pool.maxChildren,
    maxQueue: pool.maxQueue,
    confinement: confinementOf(pool),
    fetchRules: fetchRulesOf(pool),
    maxDeadlineMs: pool.limits.deadlineMs,
    defaultDeadlineMs: deadlineMs,
    runtimes,
    graceMs,
    rememberMs,
  };
}
