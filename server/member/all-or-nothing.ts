/** Opens several things together: if one of them fails, those that are already open are closed. */

/** Registers the function that closes the thing opened last. */
export type OnFailure = (close: () => unknown) => void;

/**
 * Runs `open`. If it throws, closes what it has registered, the latest first, and throws the same
 * error.
 */
export async function allOrNothing<T>(open: (onFailure: OnFailure) => Promise<T>): Promise<T> {
  const closers: (() => unknown)[] = [];
  try {
    return await open((close) => void closers.unshift(close));
  } catch (error) {
    for (const close of closers) {
      try {
        await close();
      } catch {
        // The first failure is the one that the caller can do something about.
      }
    }
    throw error;
  }
}
