/** The shares of the clients in the slots of one pool. */
import { PoolError } from "../../../openapi/errors.ts";

/** Counts the slots that each client holds, granted or taken, in all pools of the member. */
export interface SlotShares {
  /** Why the client may have no more slots of the pool, with the quota; undefined if it may. */
  usedUp(client: string, pool: string): string | undefined;
  take(client: string, pool: string): void;
  free(client: string, pool: string): void;
}

interface PoolSharesOptions {
  readonly pool: string;
  readonly member: string;
  /** Default: a client may take all slots. */
  readonly shares?: SlotShares | undefined;
}

export interface SlotsOptions extends PoolSharesOptions {
  /** Children at a time. */
  readonly max: number;
  /** Clients that may wait at a time. */
  readonly maxQueue: number;
}

export class PoolShares {
  readonly #options: PoolSharesOptions;

  constructor(options: PoolSharesOptions) {
    this.#options = options;
  }

  /** The refusal, `too_many_requests`, of a client that has used up its quota. */
  refusalOf(client: string): PoolError | undefined {
    const { pool, member, shares } = this.#options;
    const why = shares?.usedUp(client, pool);
    return why === undefined
      ? undefined
      : PoolError.of("too_many_requests", `member ${member}: ${why}`);
  }

  take(client: string): void {
    this.#options.shares?.take(client, this.#options.pool);
  }

  free(client: string): void {
    this.#options.shares?.free(client, this.#options.pool);
  }
}
