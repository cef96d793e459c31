/** The members of pools: the seam between placement and the registry that lists them. */
import type { SandboxLevel } from "../../../openapi/limits.ts";

/** A server process that belongs to pools. These facts are static; its load is not among them. */
export interface Member {
  readonly name: string;
  /** The URL at which it serves, without a final slash: `http://10.0.0.5:7400`. */
  readonly url: string;
  /** `maxChildren` of each of its pools. */
  readonly pools: Readonly<Record<string, number>>;
  readonly sandbox: SandboxLevel;
  readonly version: string;
}

/** A watched list of members. It answers from memory; only the first answer may take time. */
export interface Members {
  /** The members of a pool that may admit children; none for a pool without members. */
  in(pool: string): Promise<readonly Member[]>;
  /** The members of all pools that may admit children. */
  all(): Promise<readonly Member[]>;
  /** The member of this name, also while it drains, because its children are still there. */
  find(name: string): Promise<Member | undefined>;
  /** Stops watching. */
  close(): void;
}
