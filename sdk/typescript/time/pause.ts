/** A pause that a signal ends early. */
import { setTimeout } from "node:timers/promises";

/** Waits this many milliseconds. @throws the signal's own reason as soon as it aborts. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  // The timer rejects with an AbortError of its own, where callers expect the reason.
  await setTimeout(ms, undefined, signal ? { signal } : {}).catch(() => {});
  signal?.throwIfAborted();
}
