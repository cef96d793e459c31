/** A mistake of the person at the command line, or in the configuration file. */
import { PoolError } from "../../openapi/errors.ts";

export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Turns the refusal of options, which the person gave, into a {@link UsageError}. */
export async function blamingUsage<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PoolError && error.code === "invalid_request")
      throw new UsageError(error.message);
    throw error;
  }
}
