/** The members of pools as Consul lists them, with one watch per pool that is asked for. */
import { PoolError } from "../../../../openapi/errors.ts";
import { NAME } from "../../../../openapi/names.ts";
import type { Member, Members } from "../../placement/members.ts";
import type { ConsulClient } from "./consul-client.ts";
import { type ConsulRights, READ_MEMBERS, READING } from "./consul-rights.ts";
import { ConsulWatch } from "./consul-watch.ts";

/** Callers of a pool without members share an answer for 1 second. */
const REFUSAL_MS = 1_000;

export class ConsulMembers implements Members {
  readonly #consul: ConsulClient;
  readonly #rights: ConsulRights;
  /** The watches by pool; the watch of the whole service under undefined. */
  readonly #watches = new Map<string | undefined, ConsulWatch>();
  /** Pools that were read from the whole list, until it changes. */
  readonly #byPool = new Map<string, readonly Member[]>();
  #refusal: Promise<PoolError | undefined> = Promise.resolve(undefined);
  #askedAt = Number.NEGATIVE_INFINITY;

  /** @param consul the client of the agent; `close()` ends its connections. */
  constructor(consul: ConsulClient, rights: ConsulRights) {
    this.#consul = consul;
    this.#rights = rights;
  }

  async in(pool: string) {
    const whole = this.#watches.get(undefined);
    if (!whole) return this.#watch(pool).members();
    // A member watches the whole service. So it needs one connection to its agent for all pools.
    const all = await whole.members();
    let members = this.#byPool.get(pool);
    if (!members) {
      members = all.filter((member) => Object.hasOwn(member.pools, pool));
      if (members.length > 0) this.#byPool.set(pool, members);
    }
    return members;
  }

  all() {
    return this.#watch(undefined).members();
  }

  registered() {
    return this.#watch(undefined).registered();
  }

  find(name: string) {
    return this.#watch(undefined).find(name);
  }

  /** Asks once a second at most. A watch of a newer agent does not hear that rights have gone. */
  refusal() {
    if (performance.now() - this.#askedAt > REFUSAL_MS) {
      this.#askedAt = performance.now();
      this.#refusal = this.#rights.missing(READING, READ_MEMBERS).catch(() => undefined);
    }
    return this.#refusal;
  }

  close(): void {
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    this.#consul.destroy();
  }

  #watch(pool: string | undefined) {
    let watch = this.#watches.get(pool);
    if (!watch) {
      if (pool !== undefined && !NAME.test(pool))
        throw PoolError.of("invalid_request", `expected a pool name; got ${JSON.stringify(pool)}`);
      const filter = pool === undefined ? {} : { filter: `"${pool}" in Service.Tags` };
      const onChange = () => this.#byPool.clear();
      watch = new ConsulWatch(this.#consul, filter, { rights: this.#rights, onChange });
      this.#watches.set(pool, watch);
    }
    return watch;
  }
}
