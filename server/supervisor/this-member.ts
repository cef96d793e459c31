/** The pools of this member: their load, their children, their tasks and runtimes. */
import { PoolError } from "../../openapi/errors.ts";
import type { ChildInfo, Count, Tasks } from "../../openapi/schemas/resources.ts";
import type { ChildFilter } from "../../sdk/typescript/placement/access.ts";
import { listed } from "../../sdk/typescript/placement/members.ts";
import {
  keyOfChild,
  type Page,
  type PageOf,
  pageOf,
} from "../../sdk/typescript/placement/pages.ts";
import type { Supervisor } from "./supervisor.ts";

/** This member's supervisors by pool. */
export type Supervisors = ReadonlyMap<string, Supervisor>;

export interface ThisMember {
  /** The member's name. */
  readonly name: string;
  readonly supervisors: Supervisors;
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
}

/** One page of the children of these pools that the caller sees, and that pass the filter. */
export function childrenOf(
  { supervisors }: ThisMember,
  pools: readonly string[],
  { labels = [], status, sees, ...page }: VisibleChildren,
): PageOf<ChildInfo> {
  const children = pools
    .flatMap((pool) => supervisors.get(pool)?.which() ?? [])
    .filter(
      (child) =>
        (status === undefined || child.status === status) && carries(child, labels) && sees(child),
    );
  return pageOf(children, { ...page, keyOf: keyOfChild });
}

/** Whether a child carries all of the labels, each `NAME=VALUE` or a `NAME`. */
function carries(child: ChildInfo, labels: readonly string[]): boolean {
  return labels.every((label) =>
    Object.entries(child.labels).some(
      ([name, value]) => label === name || label === `${name}=${value}`,
    ),
  );
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
