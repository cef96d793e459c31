/** Opens several things together: if one of them fails, those that are already open are closed. */

type Close = () => unknown;

/**
 * Runs `open`. If it throws, closes what it has registered, the latest first, and throws the same
 * error.
 *
 * @param open is passed `onFailure`, which registers what closes the thing opened last.
 */
export async function allOrNothing<T>(
  open: (onFailure: (close: Close) => void) => Promise<T>,
): Promise<T> {
  const closers: Close[] = [];
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
