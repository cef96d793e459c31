/** The header in which a member tells its load: a dictionary of RFC 9651. */
import type { Load } from "./types.gen.ts";

/** The header of answers to requests for a slot of this member. */
export const LOAD_HEADER = "pool-load";

const INTEGER = /^([a-z]+)=(\d{1,15})(;.*)?$/;

/** The load as the header has it. @example loadText(load); // active=3, max=8, queued=0 */
export function loadText({ active, max, queued }: Load): string {
  return `active=${active}, max=${max}, queued=${queued}`;
}

/** The load in a header; keys of a newer member are skipped. Undefined for anything else. */
export function loadOf(header: string | null): Load | undefined {
  if (header === null) return undefined;
  const told: Record<string, number> = {};
  for (const part of header.split(",")) {
    const [, key, value] = INTEGER.exec(part.trim()) ?? [];
    if (key !== undefined) told[key] = Number(value);
  }
  const { active, max, queued = 0 } = told;
  return active === undefined || max === undefined ? undefined : { active, max, queued };
}
