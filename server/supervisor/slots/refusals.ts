/** The refusals of slots. */
import { type Load, PoolError } from "../../../openapi/errors.ts";

/** The slot, or subscription, of a client. @throws {PoolError} `slot_not_found`, `forbidden`. */
export function ownOf<T extends { readonly client: string }>(
  all: ReadonlyMap<string, T>,
  id: string,
  client: string,
): T {
  const own = all.get(id);
  if (!own)
    throw PoolError.of(
      "slot_not_found",
      `this member holds no slot ${id}: it was taken, given back, or its time is over`,
    );
  if (own.client !== client)
    throw PoolError.of("forbidden", `slot ${id} was granted to another caller`);
  return own;
}

export function drainingAt(member: string): PoolError {
  return PoolError.of("draining", `member ${member} admits no more children`);
}

export function fullOf(
  { member, pool }: { readonly member: string; readonly pool: string },
  load: Load,
): PoolError {
  const waiting = load.queued > 0 ? `, and ${load.queued} callers wait` : "";
  const children = `${load.active} of at most ${load.max} children of pool ${pool}`;
  return PoolError.of("at_capacity", `member ${member} runs ${children}${waiting}`, { load });
}
