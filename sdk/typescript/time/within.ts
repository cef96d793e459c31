/** Waits for work, up to a limit. */

/**
 * Resolves to the value of the work, or to undefined after `ms` milliseconds. The work itself is
 * not stopped. Rejects when the work rejects in time.
 */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
