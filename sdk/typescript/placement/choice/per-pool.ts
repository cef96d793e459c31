/** Facts about a pool that all callers of a process with the same list of members share. */
import type { Members } from "../members.ts";

/** 1,000 pools of one list of members are known at a time, those that were asked for last. */
const MAX_POOLS = 1_000;

/** A function that finds the facts about a pool, which `make` makes at first. */
export function perPool<T>(make: () => T): (members: Members, pool: string) => T {
  const shared = new WeakMap<Members, Map<string, T>>();
  return (members, pool) => {
    const pools = shared.get(members) ?? new Map<string, T>();
    shared.set(members, pools);
    const found = pools.get(pool) ?? make();
    pools.delete(pool);
    pools.set(pool, found);
    if (pools.size > MAX_POOLS) pools.delete(pools.keys().next().value as string);
    return found;
  };
}
