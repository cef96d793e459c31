/** Waits for work, up to a limit. */
import { setTimeout as pause } from "node:timers/promises";

/**
 * Resolves to the value of the work, or to undefined after `ms` milliseconds. The work itself is
 * not stopped. Rejects when the work rejects in time.
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
