/** The pools of this member: their load, their children, their tasks and runtimes. */
import { PoolError } from "../../openapi/errors.ts";
import type { Count, Tasks } from "../../openapi/schemas/resources.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import type { ChildFilter } from "../../sdk/typescript/placement/access.ts";
import { listed } from "../../sdk/typescript/placement/members.ts";
import {
  keyOfChild,
  type Page,
  type PageOf,
  pageOf,
} from "../../sdk/typescript/placement/pages.ts";
import { turns } from "../../sdk/typescript/time/turns.ts";
import type { Child } from "./child.ts";
import type { KeyedStarts } from "./once/keyed-starts.ts";
import type { Supervisor } from "./supervisor.ts";

/** This member's supervisors by pool. */
export type Supervisors = ReadonlyMap<string, Supervisor>;

export interface ThisMember {
  /** The member's name. */
  readonly name: string;
  readonly supervisors: Supervisors;
  /** The starts that callers' keys allow, once each. */
  readonly keyedStarts: KeyedStarts;
}

/** The load by pool. */
export function countOf({ name, supervisors }: ThisMember): Count {
  return {
    member: name,
    pools: Object.fromEntries(
      [...supervisors].map(([pool, supervisor]) => [pool, supervisor.count()]),
    ),
  };
}

/** The tasks and the runtimes of these pools together. */
export function tasksOf({ name, supervisors }: ThisMember, pools: readonly string[]): Tasks {
  const all = pools.flatMap((pool) => supervisors.get(pool)?.options.runtimes ?? []);
  const union = (names: string[][]) => [...new Set(names.flat())].sort();
  return {
    member: name,
    tasks: union(all.map(({ tasks }) => tasks)),
    runtimes: union(all.map(({ names }) => names)),
  };
}

/** The children that a listing shows to one caller. */
export interface VisibleChildren extends ChildFilter, Page {
  /** Whether the caller may see the child. */
  sees(child: ChildInfo): boolean;
  /** The child as the caller may see it. */
  show(child: ChildInfo): ChildInfo;
}

/** One page of the children of these pools that the caller sees, and that pass the filter. */
export async function childrenOf(
  { supervisors }: ThisMember,
  pools: readonly string[],
  { labels = [], status, sees, show, ...choice }: VisibleChildren,
): Promise<PageOf<ChildInfo>> {
  const children = pools
    .flatMap((pool) => supervisors.get(pool)?.which() ?? [])
    .filter(
      (child) =>
        (status === undefined || child.status === status) && carries(child, labels) && sees(child),
    );
  const page = pageOf(children, { ...choice, keyOf: keyOfChild });
  const entries: ChildInfo[] = [];
  const turn = turns();
  for (const entry of page.entries) {
    const child =
      entry.status === "ended" ? undefined : supervisors.get(entry.pool)?.find(entry.id);
    entries.push(show(child?.measure() ? child.info : entry));
    await turn();
  }
  return { ...page, entries };
}

/** Whether a child carries all of the labels, each `NAME=VALUE` or a `NAME`. */
function carries(child: ChildInfo, labels: readonly string[]): boolean {
  if (labels.length === 0) return true;
  const pairs = Object.entries(child.labels).map(([name, value]) => `${name}=${value}`);
  const carried = new Set([...Object.keys(child.labels), ...pairs]);
  return labels.every((label) => carried.has(label));
}

/**
 * A child that this member has started.
 *
 * @throws {PoolError} `child_forgotten`; `child_not_found` for one that the member does not know.
 *   Both say whether it was admitted, if the member knows.
 */
export async function startedChild(
  { name, supervisors, keyedStarts }: ThisMember,
  id: string,
): Promise<Child> {
  await keyedStarts.settled(id);
  for (const supervisor of supervisors.values()) {
    const child = supervisor.find(id);
    if (child) return child;
    if (supervisor.ownerOfForgotten(id) !== undefined) throw forgotten(id, name);
  }
  throw unknownChild(id, name, keyedStarts);
}

/** The error for a child that has ended and is no longer remembered. */
export function forgotten(id: string, member: string): PoolError {
  const detail = `child ${id} has ended, and member ${member} has let go of it`;
  return PoolError.of("child_forgotten", detail, { admitted: true });
}

/** The error for a child that the member does not know. It says so of one that never ran. */
export function unknownChild(id: string, member: string, starts: KeyedStarts): PoolError {
  const detail = `member ${member} has no child ${id}`;
  const known = starts.hasAbandoned(id) ? ({ admitted: false } as const) : {};
  return PoolError.of("child_not_found", detail, known);
}

/** @throws {PoolError} `pool_not_found` where this member does not serve the pool. */
export function supervisorOf({ name, supervisors }: ThisMember, pool: string): Supervisor {
  const supervisor = supervisors.get(pool);
  if (supervisor) return supervisor;
  throw PoolError.of(
    "pool_not_found",
    `member ${name} does not serve pool ${pool}; it serves ${listed(supervisors.keys())}`,
  );
}
