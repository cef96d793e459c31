/** Compares options of a reload with those in force: a member takes some, others need a restart. */
import { isDeepStrictEqual } from "node:util";
import { type CheckedPool, checkedPool } from "./check-options.ts";
import { type MemberOptions, RELOADABLE, type Reloaded } from "./options.ts";

/** The options that differ between `current` and `next`, each with its default if it is unset. */
export function difference(
  current: MemberOptions,
  next: MemberOptions,
  defaults: Readonly<Record<string, unknown>>,
): Reloaded {
  const changed: string[] = [];
  const restart: string[] = [];
  const inForce = (options: MemberOptions, key: string) =>
    options[key as keyof MemberOptions] ?? defaults[key];
  for (const key of new Set([...Object.keys(current), ...Object.keys(next)])) {
    if (key === "pools" || isDeepStrictEqual(inForce(current, key), inForce(next, key))) continue;
    (RELOADABLE.some((name) => name === key) ? changed : restart).push(key);
  }
  for (const pool of new Set([...Object.keys(current.pools), ...Object.keys(next.pools)])) {
    const [before, after] = [current.pools[pool], next.pools[pool]];
    if (before === undefined || after === undefined) changed.push(`pools.${pool}`);
    else
      for (const key of keysThatDiffer(checkedPool(before), checkedPool(after)))
        changed.push(`pools.${pool}.${key}`);
  }
  return { changed, restart };
}

/** The options in force after a reload: the reloadable ones of `next`, the others of `current`. */
export function merged(current: MemberOptions, next: MemberOptions): MemberOptions {
  const taken = Object.fromEntries(RELOADABLE.map((key) => [key, next[key]]));
  return { ...current, ...taken, pools: next.pools };
}

function keysThatDiffer(before: CheckedPool, after: CheckedPool): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof CheckedPool>;
  return [...keys].filter((key) => !isDeepStrictEqual(before[key], after[key]));
}
