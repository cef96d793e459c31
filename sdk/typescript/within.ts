/** Waits for work, but not for ever. */
import { setTimeout as pause } from "node:timers/promises";

/**
 * The work's value, or undefined where it takes longer than `ms` milliseconds; the work itself goes on.
 * Rejects where the work rejects in time.
 */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const timer = new AbortController();
  const late = pause(ms, undefined, { signal: timer.signal }).catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}
