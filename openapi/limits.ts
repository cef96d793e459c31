/** Limits that every member has, and the levels of a sandbox. */
import type { SandboxLevel } from "./types.gen.ts";

export type { SandboxLevel } from "./types.gen.ts";

/** One day. A longer wait is most likely a mistake of units. */
export const MAX_WAIT_MS = 86_400_000;
/** 100,000 slots in one request. */
export const MAX_SLOTS_WAITED_FOR = 100_000;

/** One week. A longer deadline is most likely a mistake of units. */
export const MAX_DEADLINE_MS = 604_800_000;

/** The most files that go in with one child. */
export const MAX_FILES = 1_000;

/** The most files and folders in one archive. */
export const MAX_ARCHIVE_ENTRIES = 20_000;

/** The refusal of too many files. */
export const tooManyFiles = (count: number | string) =>
  `expected at most ${MAX_FILES} files; got ${count}; ` +
  `an archive may have ${MAX_ARCHIVE_ENTRIES} files and folders`;

/** The levels of a sandbox, the strongest first. */
export const SANDBOX_LEVELS = ["full", "no-cgroup", "none"] as const;

/** Whether a level is at least as strong as the demanded one. */
export function isAtLeast(level: SandboxLevel, demanded: SandboxLevel): boolean {
  return SANDBOX_LEVELS.indexOf(level) <= SANDBOX_LEVELS.indexOf(demanded);
}
