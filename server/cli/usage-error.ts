/** A mistake of the person at the command line, or in the configuration file. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
