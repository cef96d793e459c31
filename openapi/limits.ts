/** Limits that every member has, and the levels of a sandbox. */
import type { SandboxLevel } from "./types.gen.ts";

export type { SandboxLevel } from "./types.gen.ts";

/** One day. A longer wait is most likely a mistake of units. */
export const MAX_WAIT_MS = 86_400_000;
/** 100,000 slots in one request. */
export const MAX_SLOTS_WAITED_FOR = 100_000;

/** One week. A longer deadline is most likely a mistake of units. */
export const MAX_DEADLINE_MS = 604_800_000;

/** The levels of a sandbox, the strongest first. */
export const SANDBOX_LEVELS = ["full", "no-cgroup", "none"] as const;

/** Whether a level is at least as strong as the demanded one. */
export function isAtLeast(level: SandboxLevel, demanded: SandboxLevel): boolean {
  return SANDBOX_LEVELS.indexOf(level) <= SANDBOX_LEVELS.indexOf(demanded);
}
