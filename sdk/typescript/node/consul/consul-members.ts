/** The members of pools as Consul lists them, with one watch per pool that is asked for. */
import { PoolError } from "../../../../openapi/errors.ts";
import { NAME } from "../../../../openapi/names.ts";
import type { Member, Members } from "../../placement/members.ts";
import type { ConsulClient } from "./consul-client.ts";
import type { ConsulRights } from "./consul-rights.ts";
import { ConsulWatch } from "./consul-watch.ts";

export class ConsulMembers implements Members {
  readonly #consul: ConsulClient;
  readonly #rights: ConsulRights;
  /** The watches by pool; the watch of the whole service under undefined. */
  readonly #watches = new Map<string | undefined, ConsulWatch>();
  /** Pools that were read from the whole list, until it changes. */
  readonly #byPool = new Map<string, readonly Member[]>();

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

  get refusal() {
    return [...this.#watches.values()].find(({ refusal }) => refusal)?.refusal;
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
