/** The rules that a pool's options make for its supervisor, its sandbox and its runtimes. Pure. */
import type { ReuseOptions } from "../runtimes/functions/reuse.ts";
import {
  type Confinement,
  DEFAULT_LIMITS,
  shmOf,
  withoutUndefined,
} from "../sandbox/confinement.ts";
import { fetchRulesOf } from "../workspace/fetching/fetch-rules.ts";
import { type CheckedPool, ReuseSchema } from "./pool-options.ts";

/** The most slots of one caller in the pool, 1 at least; undefined for no bound. */
export function slotsPerCaller(options: CheckedPool): number | undefined {
  const { maxChildren, maxChildrenPerCaller: share } = options;
  return typeof share === "string"
    ? Math.max(1, Math.floor((maxChildren * Number.parseInt(share, 10)) / 100))
    : share;
}

/** When the pool's processes are kept for further calls; undefined for never. */
export function reuseOf(options: CheckedPool): ReuseOptions | undefined {
  const { reuse, maxChildren } = options;
  if (reuse === false) return undefined;
  const { maxUses, maxMemoryShare } = reuse === true ? ReuseSchema.parse({}) : reuse;
  const { memoryBytes } = confinementOf(options).limits;
  return { maxIdle: maxChildren, maxUses, maxMemoryBytes: memoryBytes * maxMemoryShare };
}

/** The limits and grants of a pool's children. */
export function confinementOf(options: CheckedPool): Confinement {
  const { readOnly, env, limitVariables, network, devices, commands, root } = options;
  const { deadlineMs: _, ...given } = options.limits;
  const limits = { ...DEFAULT_LIMITS, ...withoutUndefined(given) };
  return {
    limits: { ...limits, shmBytes: given.shmBytes ?? shmOf(limits.memoryBytes) },
    grants: { readOnly, env, limitVariables, network, devices, commands, root },
  };
}

/** The rules by which a supervisor admits the pool's children. */
export function poolRulesOf(options: CheckedPool) {
  const { maxChildren, maxQueue, limits, deadlineMs, fetch, notify, fetchAddresses } = options;
  return {
    maxChildren,
    maxQueue,
    confinement: confinementOf(options),
    fetchRules: fetchRulesOf({ fetch, fetchAddresses }),
    notifyRules: fetchRulesOf({ fetch: notify, fetchAddresses }),
    maxDeadlineMs: limits.deadlineMs,
    poolDeadlineMs: deadlineMs,
  };
}
