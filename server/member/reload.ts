/** Compares options of a reload with those in force: a member takes some, others need a restart. */
import { isDeepStrictEqual } from "node:util";
import type { Settings } from "./check-options.ts";
import { RELOADABLE, type Reloaded } from "./options.ts";

/** The options that differ between `current` and `next`. */
export function difference(current: Settings, next: Settings): Reloaded {
  const changed: string[] = [];
  const restart: string[] = [];
  for (const key of keysThatDiffer(current, next))
    if (key !== "pools") (RELOADABLE.some((name) => name === key) ? changed : restart).push(key);
  for (const pool of new Set([...current.pools.keys(), ...next.pools.keys()])) {
    const [before, after] = [current.pools.get(pool), next.pools.get(pool)];
    if (before && after)
      changed.push(...keysThatDiffer(before, after).map((key) => `pools.${pool}.${key}`));
    else changed.push(`pools.${pool}`);
  }
  return { changed, restart };
}

/** The options in force after a reload: the reloadable ones of `next`, the others of `current`. */
export function merged(current: Settings, next: Settings): Settings {
  const taken = Object.fromEntries(RELOADABLE.map((key) => [key, next[key]]));
  return { ...current, ...taken, pools: next.pools };
}

function keysThatDiffer<T extends object>(before: T, after: T): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<string & keyof T>;
  return [...keys].filter((key) => !isDeepStrictEqual(before[key], after[key]));
}
