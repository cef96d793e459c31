/** The seam of idempotency keys: where members keep which child a key has started. */
import { messageOf, PoolError } from "../../openapi/errors.ts";

/** The child that a key has started. */
export interface KeyEntry {
  /** The id of the child. */
  readonly child: string;
  /** The fingerprint of its spec. */
  readonly fingerprint: string;
  /** When the key may be used again, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * The entries, by names of 64 hexadecimal digits. An entry that has expired counts as none. Every
 * method throws `idempotency_unavailable` where the registry does not answer.
 */
export interface Keys {
  find(name: string): Promise<KeyEntry | undefined>;
  /** Creates an entry where there is none, atomically. Resolves with the one that is there now. */
  create(name: string, entry: KeyEntry): Promise<KeyEntry>;
  /** Removes an entry that names this child. */
  remove(name: string, child: string): Promise<void>;
}

export const isExpired = ({ expiresAt }: KeyEntry, now = Date.now()): boolean => expiresAt <= now;

/** The refusal of a call whose key cannot be looked up. */
export function unavailable(cause: unknown): PoolError {
  return PoolError.of(
    "idempotency_unavailable",
    `the idempotency key cannot be looked up: ${messageOf(cause)}`,
    { admitted: false, cause },
  );
}
