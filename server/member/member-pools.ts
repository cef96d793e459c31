/**
 * Serves a member's pools: opens, changes and ends the supervisor and the runtimes of each pool.
 */
import { join } from "node:path";
import type { Member } from "../../sdk/typescript/placement/members.ts";
import type { Quotas } from "../access/quotas.ts";
import { Shares } from "../access/shares.ts";
import type { HeldBytes } from "../http/bodies/held-bytes.ts";
import type { PoolRuntimes } from "../runtimes/registry/pool-runtimes.ts";
import type { RuntimeRegistry } from "../runtimes/registry/runtime-registry.ts";
import { Fence } from "../sandbox/fence.ts";
import { probeConfinements } from "../sandbox/open-sandbox.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { StartHealth } from "../sandbox/start-health.ts";
import { probeStart } from "../sandbox/start-probe.ts";
import type { Notifier } from "../supervisor/notify/notifier.ts";
import type { ChildObserver } from "../supervisor/observed/observer.ts";
import type { ChangeableOptions } from "../supervisor/options.ts";
import { Supervisor } from "../supervisor/supervisor.ts";
import type { Settings } from "./check-options.ts";
import { confinementOf, poolRulesOf, reuseOf, slotsPerCaller } from "./pool-rules.ts";

type Pools = Settings["pools"];
type Runtimes = ReadonlyMap<string, RuntimeRegistry>;

interface PoolParts {
  readonly sandbox: Sandbox;
  readonly runtimes: PoolRuntimes;
  /** The account of the memory that callers hold. */
  readonly heldBytes: HeldBytes;
  readonly notifier: Notifier;
  readonly observer: ChildObserver;
}

export class MemberPools {
  /** By pool. A pool that has left the options stays until its children are forgotten. */
  readonly supervisors = new Map<string, Supervisor>();
  readonly #parts: PoolParts;
  #served: Pools = new Map();
  readonly #fences = new Map<string, Fence>();
  /** Log that a fenced pool admits again. */
  readonly #onUnfenced = new Map<string, () => void>();
  /** When the registry knew this member last; undefined before it did. */
  #passedAt: number | undefined;
  #madeFences = 0;
  readonly #startHealth = new Map<string, StartHealth>();
  /** Called with the reason why all pools can start no children; undefined where one can. */
  onSick: (trouble: string | undefined) => void = () => {};
  /** The most children of one caller in all pools; 0 for no bound. */
  #maxChildrenPerCaller = 0;
  readonly #shares: Shares;

  /** @param quotasOf the quotas of a caller by its name. */
  constructor(parts: PoolParts, quotasOf: (client: string) => Quotas) {
    this.#parts = parts;
    this.#shares = new Shares({
      limitsOf: (client, pool) => {
        const { maxSlots, maxChildren } = quotasOf(client);
        const served = this.#served.get(pool);
        return {
          inPool: maxSlots ?? (served && slotsPerCaller(served)),
          inAllPools: maxChildren ?? (this.#maxChildrenPerCaller || undefined),
        };
      },
      onFree: () => this.serveWaiting(),
    });
  }

  /**
   * Proves that the sandbox holds under each pool's limits and grants, and opens the pools'
   * runtimes.
   *
   * @throws {PoolError} `sandbox_unavailable`; `invalid_request` for a task that does not load.
   *   Nothing has changed then.
   */
  async prepare(pools: Pools): Promise<Runtimes> {
    await probeConfinements(this.#parts.sandbox, [...pools.values()].map(confinementOf));
    return this.#parts.runtimes.open(
      new Map(
        [...pools].map(([pool, options]) => [
          pool,
          {
            confinement: confinementOf(options),
            warm: options.warm,
            reuse: reuseOf(options),
          },
        ]),
      ),
    );
  }

  /**
   * Serves these pools from now on. Children of all other pools may end, and be read afterwards.
   *
   * @param runtimes those that `prepare` opened for the pools.
   */
  serve(runtimes: Runtimes, settings: Settings, { name, url }: Member): void {
    const before = this.#served;
    const { sandbox, heldBytes, notifier, observer } = this.#parts;
    const { pools, graceMs, rememberMs, deadlineMs: defaultDeadlineMs } = settings;
    this.#served = pools;
    this.#maxChildrenPerCaller = settings.maxChildrenPerCaller;
    const fixed = {
      member: name,
      url: settings.publicUrl ?? url,
      ...{ sandbox, heldBytes, notifier, observer },
      folder: sandbox.folder,
      shares: this.#shares,
    };
    for (const [pool, options] of pools) {
      const changeable: ChangeableOptions = {
        ...poolRulesOf(options),
        defaultDeadlineMs,
        runtimes: runtimes.get(pool) as RuntimeRegistry,
        graceMs,
        rememberMs,
        fence: this.#fenceOf(pool, settings),
        startHealth: this.#startHealthOf(pool, settings),
      };
      const supervisor = this.supervisors.get(pool);
      if (supervisor) supervisor.update(changeable);
      else this.supervisors.set(pool, new Supervisor({ ...fixed, pool, ...changeable }));
    }
    for (const pool of before.keys()) if (!pools.has(pool)) void this.#retire(pool);
    this.onSick(this.sickness);
    this.serveWaiting();
  }

  /** Grants free slots to callers that wait: a caller's quota may have room again. */
  serveWaiting(): void {
    for (const { slots } of this.supervisors.values()) slots.serve();
  }

  /** Notes that the registry knows this member. @param atMs as of {@link Fence.renew}. */
  passed(atMs: number): void {
    this.#passedAt = atMs;
    for (const [pool, fence] of this.#fences) {
      fence.renew(atMs);
      if (fence.isUp) continue;
      this.#onUnfenced.get(pool)?.();
      this.#onUnfenced.delete(pool);
    }
  }

  /** Why pools admit nothing; undefined when they do. */
  get trouble(): string | undefined {
    const fenced = [...this.#fences].filter(([, fence]) => fence.isUp).map(([pool]) => pool);
    if (fenced.length > 0) return `fenced, without touch with Consul: ${fenced}`;
    return this.#sick[0];
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
    for (const fence of this.#fences.values()) fence.close();
    for (const health of this.#startHealth.values()) health.close();
    for (const supervisor of this.#all) supervisor.close();
  }

  get #all(): readonly Supervisor[] {
    return [...this.supervisors.values()];
  }

  /** The fence of a pool, which a changed number of milliseconds replaces; undefined for none. */
  #fenceOf(pool: string, { pools, fenceMs, consul, log }: Settings): Fence | undefined {
    const ms = consul ? (pools.get(pool)?.fenceMs ?? fenceMs) : 0;
    const before = this.#fences.get(pool);
    if (before?.ms === ms) return before;
    before?.close();
    this.#fences.delete(pool);
    if (ms === 0) return undefined;
    const detail = `the member has not reached its registry for ${ms} ms, the fence of the pool`;
    const folder = join(this.#parts.sandbox.folder, `fence-${this.#madeFences++}`);
    const fence = new Fence(ms, folder, () => {
      log("warn", `pool ${pool}: ${detail}; its children are killed`);
      this.#onUnfenced.set(pool, () => log("info", `pool ${pool}: admits again, no longer fenced`));
      this.supervisors.get(pool)?.killAll("cancelled", detail);
      this.supervisors.get(pool)?.refuseWaiting();
    });
    if (this.#passedAt !== undefined) fence.renew(this.#passedAt);
    this.#fences.set(pool, fence);
    return fence;
  }

  /** Why pools can start no children, one text for each such pool. */
  get #sick(): string[] {
    return [...this.#startHealth].flatMap(([pool, { trouble }]) =>
      trouble === undefined || !this.#served.has(pool)
        ? []
        : [`pool ${pool} can start no children: ${trouble}`],
    );
  }

  /** Why all pools can start no children; undefined where one can. */
  get sickness(): string | undefined {
    const sick = this.#sick;
    return sick.length < this.#served.size ? undefined : sick[0];
  }

  #startHealthOf(pool: string, { log }: Settings): StartHealth {
    const before = this.#startHealth.get(pool);
    if (before) return before;
    const health = new StartHealth({
      probe: () => {
        const options = this.supervisors.get(pool)?.options;
        return options ? probeStart(this.#parts.sandbox, options.confinement) : Promise.resolve();
      },
      log: (level, message) => log(level, `pool ${pool}: ${message}`),
      onChange: () => {
        this.supervisors.get(pool)?.refuseWaiting();
        this.onSick(this.sickness);
      },
    });
    this.#startHealth.set(pool, health);
    return health;
  }

  async #retire(pool: string): Promise<void> {
    const supervisor = this.supervisors.get(pool);
    supervisor?.drain();
    await supervisor?.forgotten();
    if (this.#served.has(pool)) return; // A reload may have brought it back in the meantime.
    supervisor?.close();
    this.supervisors.delete(pool);
    this.#fences.get(pool)?.close();
    this.#fences.delete(pool);
    this.#startHealth.get(pool)?.close();
    this.#startHealth.delete(pool);
  }
}
