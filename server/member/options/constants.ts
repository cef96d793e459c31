/** Units, and the defaults of a member that the commands of callers tell, too. */
export const DAY_MS = 86_400_000;
export const WEEK_MS = 7 * DAY_MS;
export const MIB = 1024 * 1024;
export const GIB = 1024 * MIB;

export const DEFAULT_PORT = 7400;
export const DEFAULT_DEADLINE_MS = 300_000;
/** Children of a pool for which nobody gives a number. */
export const DEFAULT_MAX_CHILDREN = 5;
