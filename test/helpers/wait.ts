/** Waits with a label and a deadline: a test that hangs says what it was waiting for. */
import { setTimeout as delay } from "node:timers/promises";

const INTERVAL_MS = 50;

/** The promise's value; rejects with the label when it is not there in time. */
export async function within<T>(label: string, ms: number, promise: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${label}: not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Polls the state of an outside system, which offers no event to await, until `check` no longer
 * throws.
 * Answers what `check` answered.
 */
export async function eventually<T>(
  label: string,
  check: () => T | Promise<T>,
  timeoutMs: number,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = deadline - performance.now();
    let failure: unknown;
    try {
      return await within(label, Math.max(left, 1), Promise.resolve(check()));
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(
        `${label}: not within ${timeoutMs} ms: ` +
          `${failure instanceof Error ? failure.message : failure}`,
        { cause: failure },
      );
    }
    await delay(INTERVAL_MS);
  }
}
