/** The seam of membership: a member joins with its static facts, reads who else is there, and leaves. Nothing else knows which registry it is. */
import type { Member, Members } from "../../sdk/typescript/placement/members.ts";

export interface Membership extends Members {
  /** Registers this member and keeps it registered. Resolves when it is seen by others; retries until then. */
  join(self: Member): Promise<void>;
  /** Tells changed facts of this member, of the same name, once it has joined; retries until they are known. Never rejects. */
  update(self: Member): void;
  /** Tells the others to send nothing more here, and resolves when they know; its children can still be found. Never rejects. */
  drain(): Promise<void>;
  /** Leaves at once; never rejects. */
  leave(): Promise<void>;
  /** Why this member is not in its pools; undefined once it has joined, also while the registry is away. */
  readonly trouble: string | undefined;
}
