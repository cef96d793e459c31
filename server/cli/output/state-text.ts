/** How long a member that drains lets its children run, as the tables of the terminal show it. */
import type { PoolChildList, PoolInfo } from "../../../sdk/typescript/placement/access.ts";

type Member = PoolInfo["members"][number];
type Draining = NonNullable<PoolChildList["draining"]>[number];

/** ` 25s` until this time; nothing where it is unknown. */
function left(endsAt: string | undefined, now: number): string {
  if (endsAt === undefined) return "";
  return ` ${Math.max(0, Math.ceil((Date.parse(endsAt) - now) / 1_000))}s`;
}

/**
 * The state of a member, with the seconds that remain to its children while it drains. A member of
 * an earlier version tells no state.
 *
 * @param now milliseconds since 1970. Default: the time of the call.
 */
export function stateText({ state, load, drainEndsAt }: Member, now = Date.now()): string {
  if (state === "draining") return `draining${left(drainEndsAt, now)}`;
  return state ?? (load ? "up" : "");
}

/**
 * The status of a child. While its member drains, a child that runs has the seconds that remain.
 *
 * @param draining the members that drain.
 */
export function statusText(
  { status, member }: PoolChildList["children"][number],
  draining: readonly Draining[],
  now = Date.now(),
): string {
  const drain = draining.find((each) => each.member === member);
  return drain && status !== "ended" ? `${status}, drains${left(drain.drainEndsAt, now)}` : status;
}
