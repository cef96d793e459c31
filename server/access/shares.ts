/** Counts the slots of each caller, in each pool and in all pools of the member, by its quotas. */
import type { SlotShares } from "../supervisor/slots/shares.ts";

/** The most slots of one caller at a time; undefined for no bound. */
export interface ShareLimits {
  readonly inPool: number | undefined;
  readonly inAllPools: number | undefined;
}

export interface SharesOptions {
  limitsOf(client: string, pool: string): ShareLimits;
  /** Is called when a caller has one slot fewer: it may wait for one in any pool. */
  onFree(): void;
}

/** No pool's name is empty. */
const ALL_POOLS = "";

export class Shares implements SlotShares {
  readonly #options: SharesOptions;
  /** The slots by pool and client. */
  readonly #held = new Map<string, number>();

  constructor(options: SharesOptions) {
    this.#options = options;
  }

  usedUp(client: string, pool: string): string | undefined {
    const { inPool, inAllPools } = this.#options.limitsOf(client, pool);
    const heldInPool = this.#heldIn(pool, client);
    if (inPool !== undefined && heldInPool >= inPool)
      return `${client} has ${heldInPool} slots in pool ${pool}; its quota maxSlots is ${inPool}`;
    const held = this.#heldIn(ALL_POOLS, client);
    return inAllPools !== undefined && held >= inAllPools
      ? `${client} has ${held} children and slots; its quota maxChildren is ${inAllPools}`
      : undefined;
  }

  take(client: string, pool: string): void {
    for (const each of [pool, ALL_POOLS])
      this.#held.set(keyOf(each, client), this.#heldIn(each, client) + 1);
  }

  free(client: string, pool: string): void {
    for (const each of [pool, ALL_POOLS]) {
      const rest = this.#heldIn(each, client) - 1;
      if (rest > 0) this.#held.set(keyOf(each, client), rest);
      else this.#held.delete(keyOf(each, client));
    }
    this.#options.onFree();
  }

  #heldIn(pool: string, client: string): number {
    return this.#held.get(keyOf(pool, client)) ?? 0;
  }
}

const keyOf = (pool: string, client: string) => `${pool} ${client}`;
