/** What changed options mean for a member that runs: what it takes, and what only a restart brings. */
import { isDeepStrictEqual } from "node:util";
import { type CheckedPool, checkedPool } from "./check-options.ts";
import type { MemberOptions, Reloaded } from "./options.ts";

/** Options that hold from the moment of a change on, beside `pools`. */
export const CHANGEABLE = [
  "drainMs",
  "graceMs",
  "rememberMs",
  "deadlineMs",
  "maxBodyBytes",
  "maxUploadBytes",
  "requestTimeoutMs",
  "maxRate",
  "maxStreams",
] as const satisfies (keyof MemberOptions)[];

/** What differs between the options that hold, defaults filled in, and those that are wanted. */
export function difference(
  held: MemberOptions,
  wanted: MemberOptions,
  defaults: Readonly<Record<string, unknown>>,
): Reloaded {
  const changed: string[] = [];
  const restart: string[] = [];
  const inForce = (options: MemberOptions, key: string) =>
    options[key as keyof MemberOptions] ?? defaults[key];
  for (const key of new Set([...Object.keys(held), ...Object.keys(wanted)])) {
    if (key === "pools" || isDeepStrictEqual(inForce(held, key), inForce(wanted, key))) continue;
    (CHANGEABLE.some((name) => name === key) ? changed : restart).push(key);
  }
  for (const pool of new Set([...Object.keys(held.pools), ...Object.keys(wanted.pools)])) {
    const [before, after] = [held.pools[pool], wanted.pools[pool]];
    if (before === undefined || after === undefined) changed.push(`pools.${pool}`);
    else
      changed.push(
        ...keysThatDiffer(checkedPool(before), checkedPool(after)).map(
          (key) => `pools.${pool}.${key}`,
        ),
      );
  }
  return { changed, restart };
}

/** The options that hold after a reload: those that are wanted where they can be had at once, the others as before. */
export function merged(held: MemberOptions, wanted: MemberOptions): MemberOptions {
  const taken = Object.fromEntries(CHANGEABLE.map((key) => [key, wanted[key]]));
  return { ...held, ...taken, pools: wanted.pools };
}

function keysThatDiffer(before: CheckedPool, after: CheckedPool): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof CheckedPool>;
  return [...keys].filter((key) => !isDeepStrictEqual(before[key], after[key]));
}
